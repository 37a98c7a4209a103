"""Whether the ``hdpo`` reward manager can compare an answer with what stands under ``reward_model.ground_truth``."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from verl_hdpo.grading.answers import ground_truths, normalize


def incomparable(ground_truth: Any) -> str | None:
    """Why no answer can be found equal to ``ground_truth``; None where one can."""
    try:
        accepted = ground_truths(ground_truth)
    except (TypeError, ValueError) as error:
        return f"cannot be compared: {error}"
    several = ground_truth if isinstance(ground_truth, list | tuple) else [ground_truth]
    for one in several:
        if isinstance(one, bytes | Mapping | list | tuple) and str(one) in accepted:
            return f"is or holds a {type(one).__name__}, which would be compared as the text of it"
        if isinstance(one, float) and _is_single_precision(one):
            return "is a number of single precision, which no answer will equal"
    return None if any(normalize(text) for text in accepted) else "is empty"


def _is_single_precision(value: float) -> bool:
    """Whether a float is only long because it was rounded to 32 bits: 0.10000000149011612 for 0.1."""
    if not math.isfinite(value) or len(repr(value)) < 12:
        return False
    try:
        return struct.unpack("f", struct.pack("f", value))[0] == value
    except OverflowError:
        return False
