"""``rows``: the rows of a file, of lines of JSON or of Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from verl_hdpo.evaluation.dumps.lines import Line, RolloutsError, json_lines

PARQUET = ".parquet"


def rows(path: Path) -> Iterator[Line]:
    """Each row with its number, from 1.

    Raises:
        RolloutsError: the file cannot be read as what its name says.
    """
    return _of_parquet(path) if path.suffix == PARQUET else json_lines(path)


def _of_parquet(path: Path) -> Iterator[Line]:
    import pyarrow
    from pyarrow import parquet

    try:
        batches = parquet.ParquetFile(path).iter_batches(batch_size=256)
        found = (row for batch in batches for row in batch.to_pylist())
        yield from (Line(number, row) for number, row in enumerate(found, 1))
    except pyarrow.ArrowException as error:
        raise RolloutsError(f"{path} is not valid Parquet: {error}; write it again") from None
