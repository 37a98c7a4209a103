"""Where a run with images on the CPU finds torchvision and qwen-vl-utils: in a folder of their own.

transformers imports torchvision wherever it finds it, so in the environment itself it would slow down every process of
runs without images.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib.machinery import PathFinder
from pathlib import Path

PACKAGES = Path(sys.prefix) / "vision"
STARTUP = Path(__file__).parents[1] / "cpu" / "startup"
NEEDED = ("torchvision", "qwen_vl_utils")
INSTALL = "pip install --no-deps --target {} torchvision==0.28.0 qwen-vl-utils==0.0.14"


class ImagePackagesMissing(RuntimeError):
    """A package that images need is not installed."""


def image_environment(*folders: Path) -> dict[str, str]:
    """``PYTHONPATH`` for the processes of a run with images.

    Args:
        folders: with modules of the run's own.

    Raises:
        ImagePackagesMissing: the message says how to install it.
    """
    path = [*map(str, folders), *_path()]
    if before := os.environ.get("PYTHONPATH"):
        path.append(before)
    return {"PYTHONPATH": os.pathsep.join(path)}


def use_image_packages() -> None:
    """The same for this process, before it imports transformers."""
    startup, *others = _path()
    sys.path[:0] = others
    runpy.run_path(str(Path(startup) / "sitecustomize.py"))


def _path() -> list[str]:
    path = [str(STARTUP), str(PACKAGES)]
    missing = [name for name in NEEDED if PathFinder.find_spec(name, [*path, *sys.path]) is None]
    if missing:
        raise ImagePackagesMissing(
            f"runs with images need {' and '.join(missing)}, not found in {PACKAGES}; "
            f"install them there: {INSTALL.format(PACKAGES)}"
        )
    return path
