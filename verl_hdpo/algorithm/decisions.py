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
    return [
        advantage * _decides(spans, mask_T)
        for advantage, spans, mask_T in zip(advantage_R.float(), spans_R, mask_R, strict=True)
    ]


def sign_errors(accuracy_R: Tensor, both_R: Tensor, spans_R: Sequence[Spans], mask_R: Sequence[Tensor]) -> float:
    """What A_tool would do outside the spans: the share of trained tokens there whose advantage has another sign with
    it than by accuracy alone (0 has a sign of its own); 0 where there is no such token.

    Args:
        accuracy_R: A_acc of each row, (R,) float.
        both_R: w_acc A_acc + w_tool A_tool, (R,) float.
        spans_R, mask_R: as for :func:`decision_advantages`.
    """
    outside_R = torch.tensor(
        [((mask_T > 0) & ~_decides(spans, mask_T)).sum().item() for spans, mask_T in zip(spans_R, mask_R, strict=True)]
    )
    wrong_R = accuracy_R.sign() != both_R.sign()
    return (outside_R[wrong_R].sum() / outside_R.sum().clamp(min=1)).item()


def _decides(spans: Spans, mask_T: Tensor) -> Tensor:
    """Which tokens are trained and within the spans, (T,) bool."""
    within_T = torch.zeros(len(mask_T), dtype=torch.bool)
    for start, end in spans:
        within_T[start:end] = True
    return within_T & (mask_T > 0)
