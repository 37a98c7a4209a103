"""``check_apart``: a command must not write over what it reads, nor over a device, nor where it may not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

DATA = (".jsonl", ".json", ".parquet", ".gz")
"""Suffixes of the files that commands read out of a folder."""

DEVICES = Path("/dev")


class OutputError(ValueError):
    """An output that is one of the inputs, or that cannot be written; the message names it."""


def check_apart(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse ``out``, a file or a folder to write, where that could change one of ``inputs``.

    Raises:
        OutputError: it is an input, a folder that holds one, or a data file in an input folder; or it is a device, or
            in a folder that must not be written to.
    """
    if out.absolute().parent == DEVICES or (out.exists() and not (out.is_file() or out.is_dir())):
        raise OutputError(f"--out {out} is a device or a pipe, which would be replaced by a file; name a file")
    folder = next(path for path in out.absolute().parents if path.exists())
    if not folder.is_dir():
        raise OutputError(f"--out {out}: {folder} is a file, not a folder; name another path")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"--out {out}: {folder} may not be written to; name a path elsewhere")
    for source in (path for path in inputs if path.exists()):
        one, other = out.resolve(), source.resolve()
        if out.exists() and out.samefile(source):
            raise OutputError(f"--out {out} is an input of this command; name another path")
        if one in other.parents:
            raise OutputError(f"--out {out} is a folder that holds the input {source}; name another folder")
        if other in one.parents and one.suffix in DATA and source.is_dir():
            raise OutputError(f"--out {out} lies in the input folder {source}; name a path outside of it")
