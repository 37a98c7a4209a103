"""Training workers end in "address already in use" now and then.

``get_master_addr_port`` finds a free port and closes it. The first worker listens on it seconds later, after importing
torch. Meanwhile the kernel may give it to any other process that asks for a port.

Package: verl
Place: verl/single_controller/ray/base.py, get_master_addr_port
Ours: verl_hdpo/cpu/patches.py: _rendezvous_port_that_nobody_is_given
"""

import importlib.util
from pathlib import Path


def is_there() -> bool:
    verl = Path(importlib.util.find_spec("verl").origin).parent
    source = (verl / "single_controller" / "ray" / "base.py").read_text()
    function = source.partition("def get_master_addr_port")[2].partition("\ndef ")[0]
    return 's.bind(("", 0))' in function


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
