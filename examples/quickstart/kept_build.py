"""A cold start on disk: built once, and again when something that it depends on has changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Report = Callable[[int, float], None]
"""Called with step and loss."""


def kept_build(
    path: Path, seed: int, sources: Iterable[Path], steps: int, build: Callable[[Path, Report], dict[str, Any]]
) -> float:
    """Fill ``path`` by ``build``; returns the seconds that this took, 0 if it is reused.

    Args:
        path: complete or absent; a build that was interrupted is not taken for a cold start.
        sources: files that the build depends on, besides ``seed`` and torch.
        steps: of the build, for its estimate of the time that is left.
        build: writes model and data into the folder that it is given, and returns what to keep in ``cold_start.json``.
    """
    digest = hashlib.sha256(f"{seed} {importlib.metadata.version('torch')}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    key = digest.hexdigest()[:16]
    stamp = path / "cold_start.json"
    if stamp.exists() and json.loads(stamp.read_text())["key"] == key:
        print(f"Reusing the cold start in {path}.")
        return 0.0
    print(f"Building data and cold start of seed {seed} in {path}:", flush=True)
    began = time.monotonic()

    def report(step: int, loss: float) -> None:
        if step % 100 == 0 or step == steps:
            elapsed = time.monotonic() - began
            left = elapsed / step * (steps - step)
            print(f"{elapsed:5.0f} s  step {step:4d}/{steps}: loss {loss:.3f}, ETA {left:.0f} s", flush=True)

    part = path.with_name(path.name + ".part")
    for old in (part, path):
        shutil.rmtree(old, ignore_errors=True)
    part.mkdir(parents=True)
    kept = build(part, report)
    seconds = time.monotonic() - began
    (part / stamp.name).write_text(json.dumps({"key": key, "seconds": seconds, **kept}))
    part.rename(path)
    return seconds
