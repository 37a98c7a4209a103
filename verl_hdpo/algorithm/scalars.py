"""``RolloutScalars`` and ``Advantages``: what an estimator is given, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
        ValueError: shapes that differ, wrong dtypes, or a rollout both correct and unknown.
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
        if self.cost_B.dtype != torch.float64:
            raise ValueError(f"costs must be float64, found {self.cost_B.dtype}: fractions decide in 1/(C + 1)")
        if (self.correct_B & ~self.known_B).any():
            raise ValueError("a rollout of unknown outcome is marked as correct; an outcome is one of three")


class Advantages(NamedTuple):
    """One or two channels, each (B,) float.

    Attributes:
        accuracy_B: the advantage of verl's own loss: of accuracy alone in HDPO, of everything in its rivals.
        efficiency_B: the advantage of the second loss; None where there is one channel.
    """

    accuracy_B: Tensor
    efficiency_B: Tensor | None = None

    def weighted(self, w_acc: float, w_tool: float) -> Tensor:
        """w_acc A_acc + w_tool A_tool; A_acc to the bit where w_acc is 1 and w_tool is 0. (B,) float."""
        accuracy_B = self.accuracy_B if w_acc == 1 else w_acc * self.accuracy_B
        return accuracy_B if self.efficiency_B is None or w_tool == 0 else accuracy_B + w_tool * self.efficiency_B
