"""``RolloutScalars``: what an estimator sees of a batch, one number of each kind per rollout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RolloutScalars:
    """B rollouts of one training batch; padding rows are none of them.

    Attributes:
        rewards_B: r_acc, verl's reward summed over tokens, after any KL penalty, (B,) float.
        group_B: group number of each rollout, one group per prompt, (B,) int64 >= 0.
        known_B: whether the outcome is known, (B,) bool; an estimator gives the others 0 and leaves them out of every
            statistic.
        correct_B: whether it is known and correct, (B,) bool.
        cost_B: C >= 0, the cost of the tool calls; T, their number, if each costs 1. (B,) float64.
        format_ok_B: whether the format was obeyed, (B,) bool; None where that is not reported.

    Raises:
        ValueError: shapes that differ, outcomes that are no booleans, or a rollout both correct and unknown.
    """

    rewards_B: Tensor
    group_B: Tensor
    known_B: Tensor
    correct_B: Tensor
    cost_B: Tensor
    format_ok_B: Tensor | None = None

    def __post_init__(self) -> None:
        shapes = {name: tuple(value.shape) for name, value in vars(self).items() if value is not None}
        if len(set(shapes.values())) != 1 or self.group_B.dim() != 1:
            raise ValueError(f"one number per rollout expected, found shapes {shapes}")
        if self.known_B.dtype != torch.bool or self.correct_B.dtype != torch.bool:
            raise ValueError(f"outcomes must be boolean, found {self.known_B.dtype} and {self.correct_B.dtype}")
        if (self.correct_B & ~self.known_B).any():
            raise ValueError("a rollout of unknown outcome is marked as correct; an outcome is one of three")
