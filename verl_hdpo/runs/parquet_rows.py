"""``parquet_rows``: the rows of a Parquet file that a user names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from verl_hdpo.runs.file_kind import foreign_kind
from verl_hdpo.runs.json_files import Wrong

BATCH_ROWS = 256
"""Rows in memory at a time: they may hold images."""
_JSON = dict.fromkeys((b"{", b"["), "; it is JSON; let its name end in .jsonl")


def parquet_rows(
    path: Path,
    wrong: Wrong,
    wanted: Callable[[str], bool] = lambda column: True,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[dict[str, Any]]:
    """Each row.

    Args:
        wrong: of a file that cannot be read.
        wanted: whether a column is read; the others are None.
        progress: called with the bytes of the file read since the last call.
    """
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            total, size, read = file.metadata.num_rows, path.stat().st_size, 0
            for batch in file.iter_batches(BATCH_ROWS, columns=[*filter(wanted, names)]):
                yield from ({name: row.get(name) for name in names} for row in batch.to_pylist())
                before, read = read, read + batch.num_rows
                progress(size * read // total - size * before // total)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        kind = (foreign_kind(path) or _JSON.get(_first_byte(path), "")) if path.is_file() else ""
        raise wrong(f"{path} cannot be read as Parquet{kind or f': {error}'}") from None


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64).lstrip()[:1]
