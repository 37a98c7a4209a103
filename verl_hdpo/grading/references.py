"""The accepted answers that a row's ground truth names, as text."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_LISTED_CHARS = 10_000
"""A longer text is not tried as a list written out."""


class UnusableReference(ValueError):
    """A ground truth that no answer can be compared with; the message names its type."""


def references(ground_truth: Any) -> list[str]:
    """The accepted answers, at least one, none of them blank.

    A list, tuple or array (as parquet gives it) holds several, and so does a text that spells a list of texts; of a
    dict its ``target`` counts, as verl's search data has it. Missing ones (None, NaN) in a list are left out.

    Raises:
        UnusableReference: there is none, it is blank, or of a type that has no text of its own.
    """
    found = [text for text in _texts(ground_truth, nested=False) if text.strip()]
    if not found:
        raise UnusableReference(f"the ground truth is empty or missing ({type(ground_truth).__name__})")
    return found


def _texts(one: Any, nested: bool) -> Iterator[str]:
    if hasattr(one, "dtype") and hasattr(one, "ndim") and one.ndim:  # an array; one of numpy's numbers has no ndim
        one = list(one)
    if isinstance(one, Mapping):
        if nested or "target" not in one:
            raise UnusableReference(f"the ground truth is a {type(one).__name__} without 'target'")
        yield from _texts(one["target"], nested=False)
    elif isinstance(one, list | tuple):
        if nested:
            raise UnusableReference(
                f"the ground truth has a {type(one).__name__} in a list; give a flat list of answers"
            )
        for each in one:
            yield from _texts(each, nested=True)
    elif isinstance(one, str) and not nested and (listed := _listed(one)):
        yield from listed
    elif one is not None and one == one:
        yield _text(one)


def _text(one: Any) -> str:
    """As it is written by hand: a float in full, ``0.00001`` and not ``1e-05``."""
    if isinstance(one, bytes):
        try:
            return one.decode()
        except UnicodeDecodeError as error:
            raise UnusableReference(f"the ground truth is bytes that are not UTF-8: {error.reason}") from None
    if isinstance(one, str | bool | int | Decimal | Fraction):
        return str(one)
    kind = getattr(getattr(one, "dtype", None), "kind", "")
    if isinstance(one, float) or kind == "f":
        number = Decimal(str(one))  # of 32 bits too it gives no more digits than they hold
        return format(number, "f") if number.is_finite() else str(one)
    if kind in "biuUS" and kind:
        return _text(one.item())
    if kind == "O" and hasattr(one, "item"):
        return _text(one.item())
    raise UnusableReference(f"the ground truth is a {type(one).__name__}; give text, a number or a list of them")


def _listed(text: str) -> list[str]:
    """The texts of ``"['red', 'crimson']"``; none of what is not a list of texts."""
    if not (text.lstrip().startswith("[") and text.rstrip().endswith("]") and len(text) <= MAX_LISTED_CHARS):
        return []
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []
