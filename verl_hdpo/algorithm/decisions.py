"""The efficiency advantage on the tokens that decide about a call, and on no others: ``tool_tokens=decision``.

The efficiency loss stays what it is, a sum over tokens with a denominator counted over the mini-batch. A token whose
advantage is 0 adds nothing to it under verl's homogeneous losses, so the tokens that decide keep the weight that they
have under ``all``, whatever the split into micro-batches and ranks.

Shape suffixes: R rows of the batch, T response tokens of a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Spans = Sequence[Sequence[int]]
"""``[start, end)`` of stretches of response tokens."""


def decision_advantages(advantage_R: Tensor, spans_R: Sequence[Spans], mask_R: Sequence[Tensor]) -> list[Tensor]:
    """A_tool on a row's trained tokens within its spans, 0 on all others; R rows of (T,) float32.

    Args:
        advantage_R: A_tool of each row, (R,) float.
        spans_R: where each row decides; may reach beyond its end.
        mask_R: the trained tokens of each row, (T,) each.
    """
    rows = []
    for advantage, spans, mask_T in zip(advantage_R.float(), spans_R, mask_R, strict=True):
        decides_T = torch.zeros(len(mask_T), dtype=torch.bool)
        for start, end in spans:
            decides_T[start:end] = True
        rows.append(advantage * (decides_T & (mask_T > 0)))
    return rows
