"""``turn_penalty``: prime-rl's linear penalty on turns, in proportion to the group's pass rate.

Source: https://github.com/PrimeIntellect-ai/prime-rl, ``src/prime_rl/orchestrator/algo/grpo.py`` in August 2026, with
its two terms on tokens left out.
"""

from __future__ import annotations

import torch

from verl_hdpo.algorithm.estimators.group_relative import grpo
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def turn_penalty(rollouts: RolloutScalars, *, weight: float, norm_by_std: bool = True) -> Advantages:
    """R - mean_G R on R = r_acc - weight mean_G(r_acc) turns / max_G turns, with turns = C + 1.

    Never divided by std, whatever ``norm_by_std`` is: prime-rl's GRPO is not. Made for rewards of 0 and more: as in
    prime-rl, turns are paid for where the group's mean reward is negative.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    known_B, group_B, turns_B = rollouts.known_B, rollouts.group_B, rollouts.cost_B + 1
    rewards_B = rollouts.rewards_B.double()
    known_N = torch.bincount(group_B, weights=known_B.double())
    mean_N = torch.bincount(group_B, weights=torch.where(known_B, rewards_B, 0.0)) / known_N.clamp(min=1)
    most_N = torch.ones(len(mean_N), dtype=torch.float64).scatter_reduce(0, group_B[known_B], turns_B[known_B], "amax")
    return grpo(rollouts, rewards_B - weight * mean_N[group_B] * turns_B / most_N[group_B], norm_by_std=False)
