"""``tool_gdpo``: GDPO (https://arxiv.org/abs/2601.05242) on the two rewards r_acc and r_tool = 1/(C + 1).

verl has an estimator ``gdpo`` of its own, for any list of rewards. It cannot run on the V1 trainer, which fetches
neither the prompts nor the reward keys that it needs; its name is left to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from verl_hdpo.algorithm.advantages import EPS, accuracy_advantages, tool_efficiency
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.settings.group import AlgorithmSettings


@dataclass(frozen=True)
class GDPOSettings(AlgorithmSettings):
    """Settings of ``tool_gdpo``.

    Attributes:
        w_acc: weight of the accuracy advantage, >= 0.
        w_tool: weight of the tool advantage, >= 0. The sum is whitened, so that only their ratio matters.
    """

    GROUP: ClassVar[str] = "tool_gdpo"
    EXAMPLE: ClassVar[str] = "w_tool=0.15"

    w_acc: float = 1.0
    w_tool: float = 1.0

    def __post_init__(self) -> None:
        self._require_at_least_0("w_acc", "w_tool")
        self._require(self.w_acc > 0 or self.w_tool > 0, "w_acc", "greater than 0 when w_tool is 0")


def tool_gdpo(rollouts: RolloutScalars, settings: GDPOSettings, norm_by_std: bool = True) -> Tensor:
    """whiten(w_acc A_acc + w_tool A_tool), A_k = (r_k - mean_G) / (std_G + eps) for each reward over all of the group.

    r_tool is given to right and wrong rollouts alike.

    Returns:
        (B,) float32; 0 for rollouts of unknown outcome.
    """
    return decoupled(rollouts, tool_efficiency(rollouts.cost_B), settings, norm_by_std)


def decoupled(rollouts: RolloutScalars, tool_rewards_B: Tensor, settings: GDPOSettings, norm_by_std: bool) -> Tensor:
    """The weighted sum of both rewards' GRPO advantages, whitened over the batch; (B,) float32."""
    acc_B, tool_B = (
        accuracy_advantages(rewards_B.double(), rollouts.group_B, rollouts.known_B, norm_by_std)
        for rewards_B in (rollouts.rewards_B, tool_rewards_B)
    )
    return whiten(settings.w_acc * acc_B + settings.w_tool * tool_B, rollouts.known_B).float()


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
