"""What counts as the same answer, where users differ; under ``reward.reward_kwargs.policy``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from verl_hdpo.settings.group import Flag, StrictSettings, Wanted


class Policy(StrictSettings):
    """What counts as the same answer."""

    EXAMPLE: ClassVar[str] = "decimal_comma=false"

    decimal_comma: Flag = True
    """`3,5` may be 3.5."""
    number_words: Flag = True
    """`twelve` is 12, and `third` is `3rd`."""
    rounded_digits: Annotated[int, Field(ge=0), Wanted("an integer >= 0")] = 5
    """A decimal with at least so many significant digits stands for the exact value that it rounds. 0: never."""
    arithmetic: Flag = False
    """`12*34` and `816/2` are right for `408`. If not, arithmetic that is left to do is wrong."""
    units: Literal["optional", "needed", "as_written"] = "optional"
    """`optional`: an answer may leave out the reference's unit. `needed`: it must have a unit, and may convert:
    `5000 m` for `5 km`. `as_written`: it must have the same unit."""
    percent: Literal["either", "share"] = "either"
    """`share`: `50%` is 0.5 alone. `either`: it is 50 as well."""
    ratios: Flag = True
    """`3:4` and `3/4` are the same."""
    dates: Literal["written", "month_first", "day_first"] = "written"
    """How `3/4/2021` is read: `written`: as no date; `month_first`: as March 4; `day_first`: as April 3."""
    articles: Flag = True
    """`the red car` and `red car` are the same."""
    list_order: Flag = False
    """A list without brackets has an order: `2, 1` is wrong for `1, 2`."""


DEFAULT_POLICY = Policy()
