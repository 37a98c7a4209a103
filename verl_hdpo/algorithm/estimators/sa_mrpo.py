"""``sa_mrpo``: GDPO whose weights fall as a reward nears its ceiling (https://arxiv.org/abs/2608.16072)."""

from __future__ import annotations

from verl_hdpo.algorithm.advantages import tool_efficiency
from verl_hdpo.algorithm.estimators.tool_gdpo import decoupled
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def sa_mrpo(
    rollouts: RolloutScalars, *, w_acc: float, w_tool: float, gamma: float, norm_by_std: bool = True
) -> Advantages:
    """``tool_gdpo`` with the weights w_k (1 - s_k)^gamma, s_k the mean of reward k over the batch, both within [0, 1]

    r_acc is clamped to that range for s_acc: a reward beyond it has no headroom left. Source: section 4.1 of the paper,
    whose deviations are not unbiased, as they are here. Its experiments have gamma 0.25, or 0 to 1 where it is varied.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    tool_rewards_B = tool_efficiency(rollouts.cost_B)
    known_B = rollouts.known_B
    if not known_B.any():
        return decoupled(rollouts, tool_rewards_B, w_acc, w_tool, norm_by_std)
    s_acc = rollouts.rewards_B[known_B].double().mean().clamp(0, 1).item()
    s_tool = tool_rewards_B[known_B].mean().item()
    return decoupled(
        rollouts, tool_rewards_B, w_acc * (1 - s_acc) ** gamma, w_tool * (1 - s_tool) ** gamma, norm_by_std
    )
