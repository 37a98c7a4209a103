"""``fingerprint``: what tells whether a file, or what an override names, is still what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

READ_UP_TO = 1 << 24
"""Bytes. Of a larger file its time stamp stands for its content."""


def fingerprint(path: str | Path) -> Any:
    """Changes with the content of a file, or of the files in a folder; of anything else, a hub id say, it is itself."""
    found = Path(path).expanduser()
    if found.is_dir():
        return {file.name: fingerprint(file) for file in sorted(found.iterdir()) if file.is_file()}
    if not found.is_file():
        return str(path)
    if found.stat().st_size > READ_UP_TO:
        return [found.stat().st_size, found.stat().st_mtime_ns]
    return hashlib.sha256(found.read_bytes()).hexdigest()[:16]


def of_inputs(overrides: Sequence[str]) -> dict[str, Any]:
    """Fingerprints of the local files that overrides of verl's config name, and of folders under a key ``path``."""
    found = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        for name in value.strip("[]").split(","):
            path = Path(name.strip("'\" ")).expanduser()
            if path.is_file() or (path.is_dir() and key.endswith("path")):
                found[str(path)] = fingerprint(path)
    return found
