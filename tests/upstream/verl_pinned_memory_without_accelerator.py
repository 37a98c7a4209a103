"""Forward-only FSDP2 engines pin what they offload, which a machine without an accelerator cannot.

Package: verl
Place: verl/workers/engine/fsdp/transformer_impl.py, where CPUOffloadPolicy is made
Ours: verl_hdpo/cpu/patches.py: _reference_model_unpinned
"""

import importlib.util
from pathlib import Path


def is_there() -> bool:
    verl = Path(importlib.util.find_spec("verl").origin).parent
    return (
        "CPUOffloadPolicy(pin_memory=True)"
        in (verl / "workers" / "engine" / "fsdp" / "transformer_impl.py").read_text()
    )


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
