"""Standard output and error of a call: the first bytes are kept, the rest is counted."""

from __future__ import annotations

import io
from typing import Any


class _Kept(io.RawIOBase):
    def __init__(self, limit: int):
        self.limit, self.data, self.dropped = limit, bytearray(), 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        size = len(data)
        room = self.limit - len(self.data)
        self.data += data[:room]
        self.dropped += max(0, size - room)
        return size


class CapturedText(io.TextIOWrapper):
    """A text stream, with ``.buffer``, that holds on to ``limit`` bytes."""

    def __init__(self, limit: int):
        self._kept = _Kept(limit)
        buffer: Any = self._kept  # typeshed wants a name of it
        super().__init__(buffer, encoding="utf-8", errors="replace", write_through=True)

    def taken(self) -> bytes:
        """What was written, and how much is missing."""
        return cut(bytes(self._kept.data), self._kept.limit, self._kept.dropped)


def cut(text: bytes, limit: int, missing: int = 0) -> bytes:
    """``text``, or its beginning and the number of bytes that are not shown."""
    missing += max(0, len(text) - limit)
    return text if not missing else text[:limit] + f"\n... [{missing} more bytes not shown]\n".encode()


def cut_head(text: bytes, limit: int) -> bytes:
    """``text``, or its end: the last lines of a traceback say most."""
    missing = len(text) - limit
    return text if missing <= 0 else f"[{missing} bytes not shown] ...\n".encode() + text[missing:]
