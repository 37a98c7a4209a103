"""``convert``: records of any form to a parquet file for verl, and a report of those that are bad."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import pyarrow

from verl_hdpo.evaluation.datasets.converted import Converted
from verl_hdpo.evaluation.datasets.mended import mended
from verl_hdpo.evaluation.datasets.parquet_parts import ParquetParts
from verl_hdpo.evaluation.datasets.records import Record, records_of
from verl_hdpo.runs.missing_columns import missing_columns
from verl_hdpo.runs.outputs import check_apart
from verl_hdpo.runs.problem_rows import ProblemRows

BadRows = Literal["refuse", "skip"]
NOT_WRITTEN = "no parquet was written; the rows:"
MEND = "; repair images with --mend: those turned by EXIF, in CMYK, of 16 bits or animated"


class BadRowsError(ValueError):
    """The rows cannot be used, and no parquet was written; the message says why, row by row."""


class Form(Protocol):
    """How a record becomes a row.

    Attributes:
        named: option -> the column that it names; empty: none.
    """

    @property
    def named(self) -> Mapping[str, str]: ...

    def convert(self, record: Record) -> Converted: ...


def bad_rows_file(out: Path) -> Path:
    """Where the bad rows of ``out`` are told, one a line."""
    return out.with_suffix(".bad_rows.jsonl")


def convert(sources: Sequence[Path], out: Path, form: Form, bad_rows: BadRows, split: str = "train") -> Iterator[str]:
    """Write the rows of ``sources``; yields what to tell.

    Args:
        bad_rows: ``refuse``: write no parquet if a row is bad; ``skip``: leave it out.
        split: of saved data sets.

    Raises:
        BadRowsError: no rows; a named column that no row has; bad rows and ``refuse``; no good row; columns that do
            not go together.
        OutputError: a file to write is one that is read.
        RowsError: a source that cannot be read.
    """
    found, told, bad, odd = ProblemRows(), bad_rows_file(out), 0, False
    columns: dict[str, None] = {}
    for written in (out, told):
        check_apart(written, sources)
    told.unlink(missing_ok=True)
    with ParquetParts(out) as parts:
        for record in (record for source in sources for record in records_of(source, split)):
            if isinstance(record.row, Mapping):
                columns |= dict.fromkeys(record.row)
            made = form.convert(record)
            if not made.problems:
                parts.add(made.row)
                continue
            bad += 1
            odd = odd or any(mended(image) is not image for image in made.row.get("images", ()))
            for problem in made.problems:
                found.add(problem, record.file, record.number)
            with told.open("a", encoding="utf-8") as lines:
                problems = [problem._asdict() for problem in made.problems]
                lines.write(json.dumps({"file": record.file, "row": record.number, "problems": problems}) + "\n")
        if missing := [*missing_columns(form.named, columns)]:
            told.unlink(missing_ok=True)
            raise BadRowsError("\n".join(missing))
        if not bad and not parts.rows:
            raise BadRowsError("; ".join(f"{source} is empty" for source in sources) + "; no parquet was written")
        lines_told = [f"{where}: {problem.found}; {problem.advice}" for problem, where in found.told()]
        if bad and bad_rows == "refuse":
            advice = "; leave them out with --bad-rows skip" + MEND * odd
            raise BadRowsError("\n".join([*lines_told, f"{bad} rows are bad; {NOT_WRITTEN} {told}{advice}"]))
        if not parts.rows:
            raise BadRowsError("\n".join([*lines_told, f"no good row is left; {NOT_WRITTEN} {told}{MEND * odd}"]))
        try:
            parts.finish()
        except pyarrow.ArrowException as error:
            raise BadRowsError(f"the rows do not go into one table: {error}; convert the sets one by one") from error
        yield from lines_told
        if bad:
            yield f"{bad} bad rows were left out; the rows: {told}"
        yield f"{parts.rows} rows in {out}"
