"""``NewLines``: what a run newly writes into a file."""

from __future__ import annotations

from pathlib import Path


class NewLines:
    """The lines that ``path`` gets from now on, or has got already, each read once; it may not exist yet."""

    def __init__(self, path: Path, from_now: bool = False):
        self._path, self._at = path, 0
        if from_now:
            self.read()

    def read(self) -> list[bytes]:
        if not self._path.exists():
            return []
        with open(self._path, "rb") as file:
            file.seek(self._at)
            whole, end, _ = file.read().rpartition(b"\n")  # the last line may be half written
        self._at += len(whole + end)
        return (whole + end).splitlines()
