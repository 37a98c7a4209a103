"""Which tokens of a response the model wrote."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def model_spans(response_mask: Sequence[int]) -> list[list[int]]:
    """``[start, end)`` of each stretch of tokens that the model wrote: the runs of 1 in ``response_mask``."""
    spans, start = [], 0
    for is_model, run in groupby(response_mask):
        end = start + len(list(run))
        if is_model:
            spans.append([start, end])
        start = end
    return spans
