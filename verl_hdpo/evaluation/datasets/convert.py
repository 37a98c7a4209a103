"""``convert``: records of any form to a parquet file for verl, and a report of those that are bad."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import pyarrow

from verl_hdpo.evaluation.datasets.converted import Converted
from verl_hdpo.evaluation.datasets.parquet_parts import ParquetParts
from verl_hdpo.evaluation.datasets.records import Record, records_of
from verl_hdpo.runs.problem_rows import ProblemRows

BadRows = Literal["refuse", "skip"]


class BadRowsError(ValueError):
    """What was found does not do, and nothing was written; the message tells it row by row."""


class Form(Protocol):
    """How a record becomes a row."""

    def convert(self, record: Record) -> Converted: ...


def bad_rows_file(out: Path) -> Path:
    """Where the bad rows of ``out`` are told, one a line."""
    return out.with_suffix(".bad_rows.jsonl")


def convert(sources: Sequence[Path], out: Path, form: Form, bad_rows: BadRows, split: str = "train") -> Iterator[str]:
    """Write the rows of ``sources``; yields what to tell.

    Args:
        bad_rows: ``refuse``: write nothing if a row is bad; ``skip``: leave it out.
        split: of saved data sets.

    Raises:
        BadRowsError: bad rows and ``refuse``; no good row; columns that do not go together.
        RowsError: a source that cannot be read.
    """
    found, told, bad = ProblemRows(), bad_rows_file(out), 0
    told.unlink(missing_ok=True)
    with ParquetParts(out) as parts:
        for record in (record for source in sources for record in records_of(source, split)):
            made = form.convert(record)
            if not made.problems:
                parts.add(made.row)
                continue
            bad += 1
            for problem in made.problems:
                found.add(problem, record.file, record.number)
            with told.open("a", encoding="utf-8") as lines:
                problems = [problem._asdict() for problem in made.problems]
                lines.write(json.dumps({"file": record.file, "row": record.number, "problems": problems}) + "\n")
        lines_told = [f"{where}: {problem.found}; {problem.advice}" for problem, where in found.told()]
        if bad and bad_rows == "refuse":
            raise BadRowsError(_refused(lines_told, bad, told))
        if not parts.rows:
            raise BadRowsError("\n".join([*lines_told, "no row is left, and nothing was written"]))
        try:
            parts.finish()
        except pyarrow.ArrowException as error:
            raise BadRowsError(f"the rows do not go into one table: {error}; convert the sets one by one") from error
        yield from lines_told
        if bad:
            yield f"{bad} bad rows were left out; each with what is wrong: {told}"
        yield f"{parts.rows} rows in {out}"


def _refused(lines: Sequence[str], bad: int, told: Path) -> str:
    end = (
        f"{bad} rows are bad, and nothing was written; each with what is wrong: {told}. Leave them out by "
        "--bad-rows skip; --mend writes images again that are turned by EXIF, in CMYK, of 16 bits or animated"
    )
    return "\n".join([*lines, end])
