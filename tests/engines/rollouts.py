"""A mini-batch as plain tensors: what TransferQueue holds for it when the actor is updated.

Shape suffixes: B rows, T response tokens of a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

PAD, VOCAB = 0, 128
ROWS = 8
GROUPS = (0, 0, 0, 0, 1, 1, 1, 2)
"""The prompt of each row."""
UNKNOWN, PADDING = 6, 7
"""The row whose outcome is unknown, and the one that verl adds to fill the batch: both have no trained token."""


@dataclass
class Rollouts:
    """Lists have one tensor per row, of the row's own length.

    Attributes:
        prompts, responses: token ids.
        masks: 1 for the model's tokens, 0 for a tool's; all 0 in the rows ``UNKNOWN`` and ``PADDING``.
        old_log_probs, ref_log_probs, importance_weights: per response token.
        acc_B, tool_B: both channels' advantages; 0 in the rows without a trained token.
        correct_B: the qualifying rollouts.
        cost_B: of each row's calls.
        decides: 1 for the tokens that decide about a call: the first two of each of the model's turns.
    """

    prompts: list[Tensor]
    responses: list[Tensor]
    masks: list[Tensor]
    old_log_probs: list[Tensor]
    ref_log_probs: list[Tensor]
    importance_weights: list[Tensor]
    acc_B: Tensor
    tool_B: Tensor
    correct_B: Tensor
    cost_B: Tensor
    decides: list[Tensor]

    @property
    def tokens_B(self) -> Tensor:
        return torch.stack([mask.sum() for mask in self.masks])

    def without_outcomes(self) -> Rollouts:
        """The same rows, every outcome unknown."""
        none = torch.zeros(ROWS)
        masks = [mask * 0 for mask in self.masks]
        return replace(self, masks=masks, acc_B=none, tool_B=none, correct_B=none.bool())


def make_rollouts(log_probs_of, seed: int = 0, spread: float = 0.3) -> Rollouts:
    """Random rows; old log-probabilities lie around the model's own, so that some ratios are clipped.

    Args:
        log_probs_of: (prompt, response) -> the model's log-probabilities of the response, (T,).
        spread: standard deviation of the log-ratios.
    """
    g = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, size: int) -> Tensor:
        return torch.randint(low, high, (size,), generator=g)

    prompts = [integers(3, VOCAB, int(n)) for n in integers(2, 9, ROWS)]
    responses = [integers(3, VOCAB, int(n)) for n in integers(4, 15, ROWS)]
    responses[PADDING] = integers(3, VOCAB, 1)
    masks = [torch.ones(len(r), dtype=torch.int64) for r in responses]
    for mask in masks[::2]:
        mask[2:4] = 0  # a tool's observation
    for row in (UNKNOWN, PADDING):
        masks[row][:] = 0
    trained_B = torch.tensor([bool(mask.any()) for mask in masks])
    correct_B = torch.tensor([1, 1, 0, 1, 0, 1, 0, 0], dtype=torch.bool)

    def near(values: Tensor) -> Tensor:
        return values + spread * torch.randn(len(values), generator=g)

    log_probs = [log_probs_of(p, r) for p, r in zip(prompts, responses, strict=True)]
    return Rollouts(
        prompts=prompts,
        responses=responses,
        masks=masks,
        old_log_probs=[near(lp) for lp in log_probs],
        ref_log_probs=[near(lp) for lp in log_probs],
        importance_weights=[0.5 + torch.rand(len(r), generator=g) for r in responses],
        acc_B=torch.randn(ROWS, generator=g) * trained_B,
        tool_B=torch.randn(ROWS, generator=g) * correct_B,
        correct_B=correct_B,
        cost_B=integers(0, 4, ROWS).double(),
        decides=[_first_two_of_each_turn(mask) for mask in masks],
    )


def _first_two_of_each_turn(mask: Tensor) -> Tensor:
    decides = torch.zeros_like(mask)
    decides[:2] = 1
    for at in range(1, len(mask)):
        if mask[at] and not mask[at - 1]:
            decides[at : at + 2] = 1
    return decides * mask
