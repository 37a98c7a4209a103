"""``Policy``: what counts as the same answer, where users differ."""

from __future__ import annotations

from typing import NamedTuple


class Policy(NamedTuple):
    """
    Attributes:
        decimal_comma: whether ``3,5`` may be 3.5.
        rounded_digits: from how many significant digits on a decimal stands for an exact value that it rounds;
            0: never.
        unit_needed: whether an answer must have a unit where the reference has one.
    """

    decimal_comma: bool = True
    rounded_digits: int = 5
    unit_needed: bool = False
