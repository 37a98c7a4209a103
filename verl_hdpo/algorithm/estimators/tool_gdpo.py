"""``tool_gdpo``: GDPO (https://arxiv.org/abs/2601.05242) on the two rewards r_acc and r_tool = 1/(C + 1).

verl has an estimator ``gdpo`` of its own, for any list of rewards. It cannot run on the V1 trainer, which fetches
neither the prompts nor the reward keys that it needs; its name is left to it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verl_hdpo.algorithm.advantages import EPS, accuracy_advantages, tool_efficiency
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def tool_gdpo(rollouts: RolloutScalars, *, w_acc: float, w_tool: float, norm_by_std: bool = True) -> Advantages:
    """whiten(w_acc A_acc + w_tool A_tool), A_k = (r_k - mean_G) / (std_G + eps) for each reward over all of the group.

    r_tool is given to right and wrong rollouts alike.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    return decoupled(rollouts, tool_efficiency(rollouts.cost_B), w_acc, w_tool, norm_by_std)


def decoupled(
    rollouts: RolloutScalars, tool_rewards_B: Tensor, w_acc: float, w_tool: float, norm_by_std: bool
) -> Advantages:
    """The weighted sum of both rewards' GRPO advantages, whitened over the batch."""
    acc_B, tool_B = (
        accuracy_advantages(rewards_B.double(), rollouts.group_B, rollouts.known_B, norm_by_std)
        for rewards_B in (rollouts.rewards_B, tool_rewards_B)
    )
    return Advantages(whiten(w_acc * acc_B + w_tool * tool_B, rollouts.known_B).float())


def whiten(values_B: Tensor, members_B: Tensor) -> Tensor:
    """(S - mean) / (std + eps) over the members, 0 for the others and where std < eps; unbiased std.

    Over rollouts, as in the paper, TRL and ms-swift. verl's ``gdpo`` whitens over tokens, which makes every advantage
    of the batch depend on how long the responses happen to be; how much a long response weighs in the update is the
    loss's business (``loss_agg_mode``).
    """
    members = values_B[members_B]
    if len(members) < 2 or members.std() < EPS:
        return torch.zeros_like(values_B)
    return torch.where(members_B, (values_B - members.mean()) / (members.std() + EPS), 0.0)
