"""What the estimators share: GRPO on a reward of their own, and how often and how cheaply each group is right."""

from __future__ import annotations

import torch
from torch import Tensor

from verl_hdpo.algorithm.advantages import accuracy_advantages
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def grpo(rollouts: RolloutScalars, rewards_B: Tensor, norm_by_std: bool) -> Advantages:
    """(R - mean_G) / (std_G + eps) over the rollouts of known outcome, 0 for the others; one channel, (B,) float32.

    In float64, so that rounding of equal fractional rewards (1/3, three times) is not divided up into an advantage.
    """
    return Advantages(accuracy_advantages(rewards_B.double(), rollouts.group_B, rollouts.known_B, norm_by_std).float())


def pass_rate(rollouts: RolloutScalars) -> Tensor:
    """The share of the known rollouts in each rollout's group that are correct, 0 if none is known; (B,) float64."""
    known_N = torch.bincount(rollouts.group_B, weights=rollouts.known_B.double())
    correct_N = torch.bincount(rollouts.group_B, weights=rollouts.correct_B.double())
    return (correct_N / known_N.clamp(min=1))[rollouts.group_B]


def cheapest_correct(rollouts: RolloutScalars) -> Tensor:
    """min C over the correct rollouts of each rollout's group, infinite where there is none; (B,) float64."""
    groups = int(rollouts.group_B.max()) + 1 if len(rollouts.group_B) else 0
    cheapest_N = torch.full((groups,), torch.inf, dtype=torch.float64)
    correct_B = rollouts.correct_B
    cheapest_N.scatter_reduce_(0, rollouts.group_B[correct_B], rollouts.cost_B[correct_B], "amin")
    return cheapest_N[rollouts.group_B]
