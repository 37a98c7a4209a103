"""``check_apart``: a command must not write over what it reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

DATA = (".jsonl", ".json", ".parquet", ".gz")
"""Suffixes of the files that commands read out of a folder."""


class OutputError(ValueError):
    """An output that is one of the inputs; the message names both."""


def check_apart(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse ``out``, a file or a folder to write, where that could change one of ``inputs``.

    Raises:
        OutputError: it is an input, a folder that holds one, or a data file in an input folder.
    """
    for source in (path for path in inputs if path.exists()):
        one, other = out.resolve(), source.resolve()
        if out.exists() and out.samefile(source):
            raise OutputError(f"--out {out} is an input of this command; name another path")
        if one in other.parents:
            raise OutputError(f"--out {out} is a folder that holds the input {source}; name another folder")
        if other in one.parents and one.suffix in DATA and source.is_dir():
            raise OutputError(f"--out {out} lies in the input folder {source}; name a path outside of it")
