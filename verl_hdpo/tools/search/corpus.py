"""Reading the passages of a corpus: jsonl, jsonl.gz and parquet files, one row at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.runs.json_files import json_objects
from verl_hdpo.runs.missing_columns import missing_columns
from verl_hdpo.runs.parquet_rows import parquet_rows
from verl_hdpo.tools.search.passage import Passage


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
        CorpusError: another kind of file, a broken one, no row, a row that is not an object, or one without
            text; a named column that no row has.
    """
    seen: dict[str, None] = {}
    wanted = {columns.text, columns.title, columns.source, "contents"}
    for file in files:
        if file.suffix == ".parquet":
            rows: Iterator[Any] = parquet_rows(file, CorpusError, wanted.__contains__, progress)
        elif file.name.endswith((".jsonl", ".jsonl.gz")):
            rows = (line.row for line in json_objects(file, CorpusError, progress=progress))
        else:
            raise CorpusError(f"{file}: a corpus is .jsonl, .jsonl.gz or .parquet")
        for number, row in enumerate(rows, 1):
            yield _passage(row, columns, file, number)
            seen |= dict.fromkeys(row)
    if not seen:
        raise CorpusError(f"{', '.join(map(str, files))}: no passages; give a file with rows")
    if missing := [*missing_columns(columns.named, seen)]:
        raise CorpusError("\n".join(missing))


def _passage(row: Mapping[str, Any], columns: Columns, file: Path, number: int) -> Passage:
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
