"""POSIX shared memory and semaphores of the machine."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path


def segments() -> set[Path]:
    """All there are."""
    return set(Path("/dev/shm").iterdir())


def unused(found: set[Path]) -> set[Path]:
    """Those that are still there and that no process has mapped; the others belong to programs at work."""
    for maps in Path("/proc").glob("[0-9]*/maps") if found else ():
        with contextlib.suppress(OSError):
            text = maps.read_text(errors="surrogateescape")
            found = {segment for segment in found if f"{segment}\n" not in text}
    return {segment for segment in found if segment.exists()}


def abandoned(before: set[Path], seconds: float = 20.0) -> set[Path]:
    """New ones that stay :func:`unused`; those of other programs that come or go just now are soon not."""
    ends = time.monotonic() + seconds
    while (left := unused(segments() - before)) and time.monotonic() < ends:
        time.sleep(0.1)
    return left
