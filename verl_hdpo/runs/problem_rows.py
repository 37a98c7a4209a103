"""Which rows of which files have what is wrong with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from verl_hdpo.runs.row_images import RowProblem, row_image_problems

DECODED_ROWS = 1000
"""Rows whose images :meth:`ProblemRows.look` decodes; of the others it reads the headers."""
ROWS_SHOWN = 12


@dataclass
class ProblemRows:
    """Problem -> file -> numbers of the rows that have it.

    Attributes:
        with_images: rows with images that were looked at.
    """

    with_images: int = 0
    problems: defaultdict[RowProblem, defaultdict[str, list[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, problem: RowProblem, file: str, number: int) -> None:
        self.problems[problem][file].append(number)

    def look(self, file: str, number: int, row: Mapping[str, Any], prompt_key: str, image_key: str) -> None:
        """Look at the images of another row."""
        decode = self.with_images < DECODED_ROWS
        self.with_images += bool(row.get(image_key))
        for problem in row_image_problems(row, prompt_key, image_key, decode):
            self.add(problem, file, number)

    def told(self) -> Iterator[tuple[RowProblem, str]]:
        """Each problem, with the rows that have it in words."""
        for problem, files in self.problems.items():
            yield problem, "; ".join(f"{file}, {_rows(numbers)}" for file, numbers in files.items())


def _rows(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:ROWS_SHOWN]))
    more = len(numbers) - ROWS_SHOWN
    return f"row{'s' * (len(numbers) > 1)} {shown}" + (f" and {more} more" if more > 0 else "")
