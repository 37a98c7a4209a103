"""``Seeds``: the seeds of a comparison, a number of them or a list."""

from __future__ import annotations

import click


class Seeds(click.ParamType):
    """``3`` is 1, 2, 3; ``4,7`` is 4 and 7, and ``7,`` is 7 alone."""

    name = "seeds"

    def convert(
        self, value: str | int | list[int], param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        value = "".join(f"{one}," for one in value) if isinstance(value, list) else str(value)
        try:
            numbers = [int(part) for part in value.removesuffix(",").split(",")]
        except ValueError:
            self.fail(f"{value!r} is neither a number of seeds nor a list of them", param, ctx)
        if "," not in value:
            numbers = list(range(1, numbers[0] + 1))
        if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
            self.fail(f"{value!r} must be a number >= 1, or different numbers >= 0", param, ctx)
        return numbers
