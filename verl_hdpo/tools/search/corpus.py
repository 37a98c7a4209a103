"""Reading the passages of a corpus: jsonl, jsonl.gz and parquet files, one row at a time."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.runs.missing_columns import missing_columns
from verl_hdpo.tools.search.passage import Passage

PARQUET_ROWS = 4096


class CorpusError(ValueError):
    """A corpus that cannot be read; the message names file, line and what was found."""


@dataclass(frozen=True)
class Columns:
    """Where a row keeps its passage.

    Attributes:
        text: its text. Without such a column ``contents`` is read, a title in quotes, a newline and the text, as
            in Search-R1's corpora.
        title: its title; absent in a row means none.
        source: its id or URL; absent means none.
    """

    text: str = "text"
    title: str = "title"
    source: str = "id"

    @property
    def named(self) -> dict[str, str]:
        """Option -> the column that it names; those with their defaults may be missing."""
        return {f"--{option}": name for option, name in vars(self).items() if name != getattr(Columns, option)}


def passages(
    files: Sequence[Path], columns: Columns, progress: Callable[[int], None] = lambda done: None
) -> Iterator[Passage]:
    """Every passage of ``files``, in order.

    Args:
        files: ``.jsonl``, ``.jsonl.gz`` or ``.parquet``.
        columns: names of the columns.
        progress: called with the bytes of ``files`` read since the last call.

    Raises:
        CorpusError: another kind of file, a broken one, a row that is no object, or one without text; a named
            column that no row has.
    """
    seen: dict[str, None] = {}
    for file in files:
        if file.suffix == ".parquet":
            rows = _parquet_rows(file, columns, seen, progress)
        elif file.name.endswith((".jsonl", ".jsonl.gz")):
            rows = _jsonl_rows(file, progress)
        else:
            raise CorpusError(f"{file}: a corpus is .jsonl, .jsonl.gz or .parquet")
        for number, row in enumerate(rows, 1):
            yield _passage(row, columns, file, number)
            seen |= dict.fromkeys(row)
    if missing := [*missing_columns(columns.named, seen)]:
        raise CorpusError("\n".join(missing))


def _jsonl_rows(file: Path, progress: Callable[[int], None]) -> Iterator[Any]:
    with file.open("rb") as raw:
        lines = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
        read = number = 0
        try:
            for line in lines:
                number += 1
                if raw.tell() - read > 1 << 20:
                    progress(raw.tell() - read)
                    read = raw.tell()
                yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{file}, line {number}: no JSON: {error}") from None
        except (EOFError, OSError, zlib.error) as error:
            raise CorpusError(f"{file}, after line {number}: cannot be read: {error}") from None
        progress(raw.tell() - read)


def _parquet_rows(
    file: Path, columns: Columns, seen: dict[str, None], progress: Callable[[int], None]
) -> Iterator[Any]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            wanted = {columns.text, columns.title, columns.source, "contents"}
            seen |= dict.fromkeys(table.schema_arrow.names)
            present = [name for name in table.schema_arrow.names if name in wanted]
            total, size, read = max(1, table.metadata.num_rows), file.stat().st_size, 0
            for batch in table.iter_batches(PARQUET_ROWS, columns=present):
                yield from batch.to_pylist()
                read += batch.num_rows
                progress(size * read // total - size * (read - batch.num_rows) // total)
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(f"{file}: cannot be read: {error}") from None


def _passage(row: Any, columns: Columns, file: Path, number: int) -> Passage:
    if not isinstance(row, dict):
        raise CorpusError(f"{file}, row {number}: must be an object, found {type(row).__name__}")
    title, text = row.get(columns.title), row.get(columns.text)
    if text is None and "contents" in row:
        title, _, text = str(row["contents"]).partition("\n")
        title = title.strip('"')
    if not isinstance(text, str):
        raise CorpusError(
            f"{file}, row {number}: no text under {columns.text!r}, only {', '.join(map(repr, row)) or 'nothing'}; "
            "name the column with --text"
        )
    source = row.get(columns.source)
    return Passage(str(title or ""), text, "" if source is None else str(source))
