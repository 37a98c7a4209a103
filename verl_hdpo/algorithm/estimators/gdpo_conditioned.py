"""``gdpo_conditioned``: GDPO whose tool reward is conditioned on a correct answer (https://arxiv.org/abs/2601.05242).

It differs from HDPO in what a correct rollout is compared with, all of its group, the wrong ones at r_tool = 0; and in
where the two signals meet, in the advantage, whitened over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from verl_hdpo.algorithm.advantages import tool_efficiency
from verl_hdpo.algorithm.estimators.tool_gdpo import GDPOSettings, decoupled
from verl_hdpo.algorithm.scalars import RolloutScalars


@dataclass(frozen=True)
class GDPOConditionedSettings(GDPOSettings):
    """Settings of ``gdpo_conditioned``.

    Attributes:
        w_acc, w_tool: as for ``tool_gdpo``.
    """

    GROUP: ClassVar[str] = "gdpo_conditioned"


def gdpo_conditioned(rollouts: RolloutScalars, settings: GDPOConditionedSettings, norm_by_std: bool = True) -> Tensor:
    """``tool_gdpo`` with r_tool = c / (C + 1), c whether the rollout is correct; mean and std still over all of G.

    Returns:
        (B,) float32; 0 for rollouts of unknown outcome.
    """
    return decoupled(rollouts, rollouts.correct_B * tool_efficiency(rollouts.cost_B), settings, norm_by_std)
