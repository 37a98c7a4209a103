"""JSON files that a user names: ``json_lines``, ``json_objects``, and ``json_value`` of a whole file."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from verl_hdpo.runs.file_kind import foreign_kind
from verl_hdpo.runs.user_text import not_utf8

Wrong = Callable[[str], Exception]
"""Makes of a message the error to raise: a class, or what fills in the rest of one."""
STEPS = 1000
"""How often a file reports its progress."""
SHOWN = 60
"""Characters of a line that is no JSON."""


class Line(NamedTuple):
    """A line's number, from 1, and what is in it."""

    number: int
    row: Any


def json_lines(
    path: Path, wrong: Wrong, *, running: bool = False, progress: Callable[[int], None] | None = None
) -> Iterator[Line]:
    """Each line that is not empty; a file ``*.gz`` is unpacked.

    Args:
        wrong: of a line that is not JSON.
        running: a process may still write to the file. A last line that is cut off is left out, and halves of a
            character, which a model may write, are replaced.
        progress: called with the bytes of the file read since the last call.
    """
    number = read = 0
    try:
        with path.open("rb") as raw:  # lines end at \n alone: a text may hold U+2028
            part = path.stat().st_size // STEPS
            for number, line in enumerate(gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw, 1):
                if line.strip():
                    try:
                        row = json.loads(line.decode("utf-8-sig", "replace" if running else "strict"))
                    except (ValueError, RecursionError) as error:
                        kind = foreign_kind(path) if number == 1 and path.suffix != ".gz" else ""
                        if running and not line.endswith(b"\n") and not kind:
                            return
                        raise wrong(_told(f"{path}, line {number}", error, kind, line)) from None
                    yield Line(number, row)
                if progress and raw.tell() - read > part:
                    progress(raw.tell() - read)
                    read = raw.tell()
            if progress:
                progress(raw.tell() - read)
    except (EOFError, OSError, zlib.error) as error:
        raise wrong(f"{path}, after line {number}: cannot be read: {error}") from None


def json_objects(path: Path, wrong: Wrong, **how: Any) -> Iterator[Line]:
    """:func:`json_lines` of a file with an object on each line."""
    for line in json_lines(path, wrong, **how):
        if not isinstance(line.row, dict):
            found = type(line.row).__name__
            raise wrong(f"{path}, line {line.number}: must hold one JSON object per line, found {found}")
        yield line


def json_value(path: Path, wrong: Wrong) -> Any:
    """What a whole file of JSON holds."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise wrong(_told(str(path), error, foreign_kind(path))) from None


def _told(where: str, error: Exception, kind: str, line: bytes = b"") -> str:
    if kind:
        return f"{where} is not valid JSON{kind}"
    if isinstance(error, UnicodeDecodeError):
        return not_utf8(where, error)
    found = f"; found {line.decode(errors='replace').strip()[:SHOWN]!r}" if line else ""
    return f"{where} is not valid JSON: {error}{found}"
