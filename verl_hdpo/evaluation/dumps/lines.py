"""The lines of a dump, which may still be written to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from verl_hdpo.runs.json_files import Line, json_objects
from verl_hdpo.runs.parquet_rows import parquet_rows

JSONL, PARQUET = ".jsonl", ".parquet"


class RolloutsError(ValueError):
    """A file or a folder that no rollouts can be read from; the message says what was found and what to do."""


def json_lines(path: Path) -> Iterator[Line]:
    """Each object. A last line that is cut off is left out: its writer is still running.

    Raises:
        RolloutsError: another line is not a JSON object.
    """
    return json_objects(path, RolloutsError, running=True)


def rows(path: Path) -> Iterator[Line]:
    """Each row of a file of JSON lines or of Parquet.

    Raises:
        RolloutsError: the file cannot be read as what its name says.
    """
    if path.suffix == PARQUET:
        return (Line(number, row) for number, row in enumerate(parquet_rows(path, RolloutsError), 1))
    return json_lines(path)
