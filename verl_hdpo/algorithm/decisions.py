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


def deciding_tokens(spans: Spans, mask_T: Tensor) -> Tensor:
    """Which tokens of a row are trained and within the spans, (T,) bool.

    Args:
        spans: where the row decides; may reach beyond its end.
        mask_T: its trained tokens, (T,).
    """
    within_T = torch.zeros(len(mask_T), dtype=torch.bool)
    for start, end in spans:
        within_T[start:end] = True
    return within_T & (mask_T > 0)


def decision_advantages(advantage_R: Tensor, decides_R: Sequence[Tensor]) -> list[Tensor]:
    """A_tool on a row's tokens that decide, 0 on all others; R rows of (T,) float32.

    Args:
        advantage_R: A_tool of each row, (R,) float.
        decides_R: of each row, as :func:`deciding_tokens` gives it.
    """
    return [advantage * decides_T for advantage, decides_T in zip(advantage_R.float(), decides_R, strict=True)]


def sign_errors(accuracy_R: Tensor, both_R: Tensor, outside_R: Tensor) -> float:
    """What A_tool would do on tokens that do not decide: the share of those whose advantage has another sign with it
    than by accuracy alone (0 has a sign of its own); 0 where there is no such token.

    Args:
        accuracy_R: A_acc of each row, (R,) float.
        both_R: w_acc A_acc + w_tool A_tool, (R,) float.
        outside_R: how many trained tokens of each row do not decide, (R,) int.
    """
    wrong_R = accuracy_R.sign() != both_R.sign()
    return (outside_R[wrong_R].sum() / outside_R.sum().clamp(min=1)).item()
