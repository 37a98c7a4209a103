"""Imports shared by all sessions: each is paid for once, and its memory is shared copy-on-write."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import selectors
import sys
from collections.abc import Iterable

DEFAULT_MODULES = (
    "numpy", "numpy.random", "pandas", "sympy", "matplotlib.pyplot", "cv2",
    *(f"PIL.{name}" for name in ("Image", "ImageDraw", "ImageEnhance", "ImageFilter", "ImageFont", "ImageOps")),
    "PIL.JpegImagePlugin", "PIL.PngImagePlugin",
    "collections", "datetime", "decimal", "fractions", "functools", "itertools", "json", "math", "random", "re",
    "statistics", "string", "textwrap",
)  # fmt: skip


def preload(modules: Iterable[str]) -> list[str]:
    """Import what is installed of ``modules``; returns what is not.

    Raises:
        ImportError: a module is there and cannot be imported.
    """
    missing = []
    for name in modules:
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            missing.append(name)
        else:
            importlib.import_module(name)
    if "matplotlib.pyplot" in modules and "matplotlib.pyplot" not in missing:
        _draw_once()
    if "cv2" in modules and "cv2" not in missing:
        importlib.import_module("cv2").setNumThreads(1)
    vars(selectors)["DefaultSelector"] = selectors.PollSelector  # asyncio's; sessions have no epoll
    gc.collect()
    gc.freeze()  # a collection in a session must not write to shared pages
    return missing


def reseed() -> None:
    """Give this session random numbers of its own; ``random`` does so by itself after a fork."""
    if random := sys.modules.get("numpy.random"):
        random.seed()


def _draw_once() -> None:
    """Load fonts and the backend."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots()
    axes.set_title("0")
    figure.canvas.draw()
    pyplot.close(figure)
