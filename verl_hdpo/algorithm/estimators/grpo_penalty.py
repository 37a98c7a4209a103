"""``grpo_penalty``: GRPO on one mixed reward, the design that HDPO's paper argues against (arXiv 2604.08545)."""

from __future__ import annotations

from typing import Literal

from verl_hdpo.algorithm.advantages import tool_efficiency
from verl_hdpo.algorithm.estimators.group_relative import grpo
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def grpo_penalty(
    rollouts: RolloutScalars, *, a: float, form: Literal["inverse", "linear"], gated: bool, norm_by_std: bool = True
) -> Advantages:
    """GRPO on R = r_acc + a g / (C + 1), or r_acc - a g C; g is 1, or whether the rollout is correct if ``gated``.

    Source: https://arxiv.org/abs/2604.08545, where it is the coupled reward.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    term_B = tool_efficiency(rollouts.cost_B) if form == "inverse" else -rollouts.cost_B
    if gated:
        term_B = term_B * rollouts.correct_B
    return grpo(rollouts, rollouts.rewards_B.double() + a * term_B, norm_by_std)
