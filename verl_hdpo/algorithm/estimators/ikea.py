"""``ikea``: a reward that also pays a wrong answer for having searched (https://arxiv.org/abs/2505.07596)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from verl_hdpo.algorithm.estimators.group_relative import grpo
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.settings.group import AlgorithmSettings, is_number


@dataclass(frozen=True)
class IKEASettings(AlgorithmSettings):
    """Settings of ``ikea``; defaults are those of the authors' code (https://github.com/hzy312/knowledge-r1).

    Attributes:
        bonus: extra reward of a correct answer without a call, >= 0; it falls to 0 at ``max_calls``.
        max_calls: calls (or cost) at which nothing of the bonus is left, > 0.
        search_reward: reward of a wrong answer that came with a call, >= 0.
        format_reward: reward of a rollout whose format is wrong, whatever its answer; null: format does not count.
    """

    GROUP: ClassVar[str] = "ikea"
    EXAMPLE: ClassVar[str] = "bonus=0.6"

    bonus: float = 0.6
    max_calls: float = 3
    search_reward: float = 0.05
    format_reward: float | None = -1.0

    def __post_init__(self) -> None:
        self._require_at_least_0("bonus", "search_reward")
        self._require_positive("max_calls")
        value = self.format_reward
        self._require(value is None or is_number(value), "format_reward", "null or a finite number")


def ikea(rollouts: RolloutScalars, settings: IKEASettings, norm_by_std: bool = True) -> Tensor:
    """GRPO on a reward of its own, which takes the place of verl's:

        R = format_reward                                 if the format is wrong
            1 + bonus max(0, 1 - C / max_calls)           if correct: 1.6, 1.4, 1.2, 1 for 0, 1, 2, 3 calls
            search_reward if C > 0, else 0                if wrong

    Returns:
        (B,) float32; 0 for rollouts of unknown outcome.

    Raises:
        ValueError: the reward manager does not report the format.
    """
    cost_B = rollouts.cost_B.double()
    right_B = 1 + settings.bonus * (1 - cost_B / settings.max_calls).clamp(min=0)
    rewards_B = torch.where(rollouts.correct_B, right_B, settings.search_reward * (cost_B > 0))
    if settings.format_reward is not None:
        if rollouts.format_ok_B is None:
            raise ValueError(
                "algorithm.adv_estimator=ikea punishes a wrong format, and reward_extra_info has no key 'format' for "
                "every rollout; return it from your reward function (1 or 0), use reward.reward_manager.name=hdpo, or "
                "set +algorithm.ikea.format_reward=null"
            )
        rewards_B = torch.where(rollouts.format_ok_B, rewards_B, settings.format_reward)
    return grpo(rollouts, rewards_B, norm_by_std)
