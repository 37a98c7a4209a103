"""``Converted``: a row for verl, or what is wrong with the record that it is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.datasets.image_forms import verl_image
from verl_hdpo.evaluation.datasets.mended import mended
from verl_hdpo.runs.row_images import RowProblem, row_image_problems


@dataclass
class Converted:
    """One row.

    Attributes:
        row: its columns.
        problems: empty where the row can be used, and shows a model what a person sees.
    """

    row: dict[str, Any]
    problems: list[RowProblem] = field(default_factory=list)

    @classmethod
    def of(
        cls, row: dict[str, Any], prompt_key: str, images: Iterable[Any], folder: Path, mend: bool,
        problems: Iterable[RowProblem] = (),
    ) -> Converted:  # fmt: skip
        """``row`` with its images, which are looked at.

        Args:
            prompt_key: column with the messages.
            images: in any form.
            folder: that their paths start from.
            mend: write images again that verl would show otherwise than they look.
            problems: found already.
        """
        found, unreadable = [], []
        for number, image in enumerate(images):
            made = verl_image(image, folder)
            if isinstance(made, RowProblem):
                unreadable.append(made._replace(found=f"has image {number} that {made.found}"))
            else:
                found.append(mended(made) if mend else made)
        row = {**row, "images": found}
        looked: Iterator[RowProblem] = iter(unreadable) if unreadable else row_image_problems(row, prompt_key)
        return cls(row, [*problems, *looked])


def bad(found: str, advice: str) -> Converted:
    """A record of which no row can be made."""
    return Converted({}, [RowProblem("FAIL", found, advice)])
