"""A plugin that cannot be loaded is told at DEBUG only, and the run goes on without it.

The default log level is WARNING, so a run that names a plugin's estimator fails later without saying why.

Package: verl
Place: verl/__init__.py
Ours: verl_hdpo/plugin.py: _loudly; verl_hdpo/cpu/__init__.py: could not be set up
"""

import importlib.util
from pathlib import Path


def is_there() -> bool:
    source = Path(importlib.util.find_spec("verl").origin).read_text()
    return 'debug("Failed to load plugin' in source


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
