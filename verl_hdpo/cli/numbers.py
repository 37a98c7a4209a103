"""``Number`` and ``Whole``: options that take a number within bounds, and say in words which."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click


class Number(click.FloatRange):
    """A finite number. Raises ``click.BadParameter`` for anything else, as :class:`Whole` does."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _within(self, super().convert, "a number", value, param, ctx)


class Whole(click.IntRange):
    """A whole number."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _within(self, super().convert, "a whole number", value, param, ctx)


def _within(
    kind: click.FloatRange | click.IntRange,
    convert: Callable[..., Any],
    noun: str,
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> Any:
    try:
        found = convert(value, param, ctx)
    except click.BadParameter:
        found = math.nan
    if not math.isfinite(found):
        kind.fail(f"must be {noun}{_bounds(kind)}, found {value!r}", param, ctx)
    return found


def _bounds(kind: click.FloatRange | click.IntRange) -> str:
    if kind.max is None:
        return f" above {kind.min:g}" if kind.min_open else f" of {kind.min:g} or more"
    return f" between {kind.min:g} and {kind.max:g}" if kind.min_open else f" from {kind.min:g} to {kind.max:g}"


ABOVE_0 = Number(0, min_open=True)
