"""Whether the ``hdpo`` reward manager can compare an answer with what stands under ``reward_model.ground_truth``."""

from __future__ import annotations

import math
import struct
from typing import Any

from verl_hdpo.grading.references import UnusableReference, references


def incomparable(ground_truth: Any) -> str | None:
    """Why no answer can be found equal to ``ground_truth``; None where one can."""
    try:
        references(ground_truth)
    except UnusableReference as error:
        return str(error)
    several = ground_truth if isinstance(ground_truth, list | tuple) else [ground_truth]
    if any(isinstance(one, float) and _is_single_precision(one) for one in several):
        return "the ground truth is a number of single precision, which no answer will equal"
    return None


def _is_single_precision(value: float) -> bool:
    """Whether a float is only long because it was rounded to 32 bits: 0.10000000149011612 for 0.1."""
    if not math.isfinite(value) or len(repr(value)) < 12:
        return False
    try:
        return struct.unpack("f", struct.pack("f", value))[0] == value
    except OverflowError:
        return False
