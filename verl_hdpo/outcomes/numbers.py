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
    except Exception:  # whatever a class of the user's own raises
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


def reported_flag(value: Any, key: str) -> bool:
    """Whether a flag is on, as it is where it is missing: None, or NaN in a data frame.

    Raises:
        OutcomeError: it is not a number.
    """
    if value is None:
        return True
    return reported_number(value, key, "return 1 or 0") != 0
