"""``json_lines``: the lines of a file that may still be written to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class RolloutsError(ValueError):
    """A file or a folder that no rollouts can be read from; the message says what was found and what to do."""


class Line(NamedTuple):
    """A line's number, from 1, and the object in it."""

    number: int
    row: Mapping[str, Any]


def json_lines(path: Path) -> Iterator[Line]:
    """Each object. A last line that is cut off is left out: its writer is at work on it.

    Raises:
        RolloutsError: another line is not a JSON object.
    """
    # Lines end at \n alone: a string may hold U+2028. Texts of a model may hold halves of a character.
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                if not line.endswith("\n"):
                    return
                raise RolloutsError(f"{path}, line {number} is not valid JSON: {error}; write it again") from None
            if not isinstance(row, dict):
                raise RolloutsError(f"{path}, line {number} holds {type(row).__name__}, not an object")
            yield Line(number, row)
