"""``gdpo_conditioned``: GDPO whose tool reward is conditioned on a correct answer (https://arxiv.org/abs/2601.05242).

It differs from HDPO in what a correct rollout is compared with, all of its group, the wrong ones at r_tool = 0; and in
where the two signals meet, in the advantage, whitened over the batch.
"""

from __future__ import annotations

from verl_hdpo.algorithm.advantages import tool_efficiency
from verl_hdpo.algorithm.estimators.tool_gdpo import decoupled
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def gdpo_conditioned(rollouts: RolloutScalars, *, w_acc: float, w_tool: float, norm_by_std: bool = True) -> Advantages:
    """``tool_gdpo`` with r_tool = c / (C + 1), c whether the rollout is correct; mean and std still over all of G.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    tool_rewards_B = rollouts.correct_B * tool_efficiency(rollouts.cost_B)
    return decoupled(rollouts, tool_rewards_B, w_acc, w_tool, norm_by_std)
