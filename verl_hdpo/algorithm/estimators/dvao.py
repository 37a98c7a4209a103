"""``dvao``: two advantages weighted by how far their rewards differ in the group (https://arxiv.org/abs/2605.25604).

Compared with quotations of the paper's equation (8) in a reading of it, and with an independent implementation that
names that equation; the paper itself could not be had.
"""

from __future__ import annotations

import torch

from verl_hdpo.algorithm.advantages import EPS, accuracy_advantages, tool_efficiency
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def dvao(rollouts: RolloutScalars, *, w_acc: float, w_tool: float, norm_by_std: bool = True) -> Advantages:
    """sum_k w_k std_k A_k / sum_k w_k std_k, which is sum_k w_k (r_k - mean_k) / sum_k w_k std_k over the group G,

    for r_acc and r_tool = 1/(C + 1), given to right and wrong rollouts alike. std is unbiased, as everywhere here; the
    paper's is not, which is one factor for all. Without ``norm_by_std`` the denominator is 1.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome, and where neither reward differs.
    """
    rewards = (w_acc, rollouts.rewards_B.double()), (w_tool, tool_efficiency(rollouts.cost_B))
    summed_B, spread_B = torch.zeros_like(rollouts.cost_B), torch.zeros_like(rollouts.cost_B)
    for weight, rewards_B in rewards:
        centred_B = accuracy_advantages(rewards_B, rollouts.group_B, rollouts.known_B, norm_by_std=False)
        summed_B += weight * centred_B
        spread_B += weight * _std(centred_B, rollouts)
    if not norm_by_std:
        return Advantages(summed_B.float())
    return Advantages(torch.where(spread_B < EPS, 0.0, summed_B / (spread_B + EPS)).float())


def _std(centred_B: torch.Tensor, rollouts: RolloutScalars) -> torch.Tensor:
    """Unbiased deviation of each rollout's group, of values that are centred and 0 for unknown outcomes; (B,)."""
    squares_N = torch.bincount(rollouts.group_B, weights=centred_B.square())
    known_N = torch.bincount(rollouts.group_B, weights=rollouts.known_B.double())
    return (squares_N / (known_N - 1).clamp(min=1)).sqrt()[rollouts.group_B]
