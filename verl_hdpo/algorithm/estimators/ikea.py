"""``ikea``: a reward that also pays a wrong answer for having searched (https://arxiv.org/abs/2505.07596)."""

from __future__ import annotations

import torch

from verl_hdpo.algorithm.estimators.group_relative import grpo
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def ikea(
    rollouts: RolloutScalars,
    *,
    bonus: float,
    max_calls: float,
    search_reward: float,
    format_reward: float | None,
    norm_by_std: bool = True,
) -> Advantages:
    """GRPO on a reward of its own, which takes the place of verl's:

        R = format_reward                                 if the format is wrong
            1 + bonus max(0, 1 - C / max_calls)           if correct: 1.6, 1.4, 1.2, 1 for 0, 1, 2, 3 calls
            search_reward if C > 0, else 0                if wrong

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.

    Raises:
        ValueError: the reward manager does not report the format.
    """
    cost_B = rollouts.cost_B
    right_B = 1 + bonus * (1 - cost_B / max_calls).clamp(min=0)
    rewards_B = torch.where(rollouts.correct_B, right_B, search_reward * (cost_B > 0))
    if format_reward is not None:
        if rollouts.format_ok_B is None:
            raise ValueError(
                "algorithm.adv_estimator=ikea punishes a wrong format, and reward_extra_info has no key 'format' for "
                "every rollout; return it from your reward function (1 or 0), use reward.reward_manager.name=hdpo, or "
                "set +algorithm.ikea.format_reward=null"
            )
        rewards_B = torch.where(rollouts.format_ok_B, rewards_B, format_reward)
    return grpo(rollouts, rewards_B, norm_by_std)
