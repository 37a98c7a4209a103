"""Numbers as reward functions report them: Python's, numpy's and tensors with one element."""

from __future__ import annotations

import math
from typing import Any

from verl_hdpo.outcomes.outcome import OutcomeError


def as_number(value: Any) -> float | None:
    """``value`` as a float, NaN and infinity included; None for what is not one number."""
    if isinstance(value, str | bytes) or getattr(value, "ndim", 0) != 0:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def reported_number(value: Any, key: str, advice: str) -> float:
    """What ``reward_extra_info`` holds under ``key``, NaN included.

    Raises:
        OutcomeError: it is not a number, or it is infinite.
    """
    found = as_number(value)
    if found is None or math.isinf(found):
        raise OutcomeError(
            f"reward_extra_info[{key!r}] must be a finite number, found {value!r} ({type(value).__name__}); {advice}"
        )
    return found
