"""``hdpo``: two advantages that meet only in the loss (https://arxiv.org/abs/2604.08545)."""

from __future__ import annotations

from verl_hdpo.algorithm.advantages import accuracy_advantages, efficiency_advantages, tool_efficiency
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def hdpo(rollouts: RolloutScalars, *, norm_by_std: bool = True) -> Advantages:
    """A_acc = (r_acc - mean_G) / (std_G + eps) and A_tool = (1/(C + 1) - mean_Q) / (std_Q + eps), Q the correct ones.

    Alone among the estimators it gives two channels, unweighted: the weights belong to the two losses. Formulas and
    edge cases: ``verl_hdpo.algorithm.advantages``.
    """
    known_B, correct_B = rollouts.known_B, rollouts.correct_B
    return Advantages(
        accuracy_advantages(rollouts.rewards_B, rollouts.group_B, known_B, norm_by_std),
        efficiency_advantages(tool_efficiency(rollouts.cost_B), rollouts.group_B, correct_B, norm_by_std),
    )
