"""What is wrong with the images of a data set, and in which rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from verl_hdpo.runs.row_images import ImageProblem, row_image_problems

DECODED_ROWS = 1000
"""Rows of a split whose images are decoded; of the others the headers are read."""
ROWS_SHOWN = 12


@dataclass
class ImageTally:
    """Problem -> file -> numbers of the rows that have it.

    Attributes:
        rows: rows with images.
    """

    rows: int = 0
    problems: defaultdict[ImageProblem, defaultdict[str, list[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, file: str, number: int, row: Mapping[str, Any], prompt_key: str, image_key: str) -> None:
        """Look at another row."""
        decode = self.rows < DECODED_ROWS
        self.rows += bool(row.get(image_key))
        for problem in row_image_problems(row, prompt_key, image_key, decode):
            self.problems[problem][file].append(number)

    def told(self) -> Iterator[tuple[ImageProblem, str]]:
        """Each problem, with the rows that have it in words."""
        for problem, files in self.problems.items():
            yield problem, "; ".join(f"{file}, {_rows(numbers)}" for file, numbers in files.items())


def _rows(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:ROWS_SHOWN]))
    more = len(numbers) - ROWS_SHOWN
    return f"row{'s' * (len(numbers) > 1)} {shown}" + (f" and {more} more" if more > 0 else "")
