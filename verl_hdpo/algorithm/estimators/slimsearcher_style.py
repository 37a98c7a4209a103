"""``slimsearcher_style``: correctness times a gate on relative cost, after SlimSearcher (https://arxiv.org/abs/2606.07074).

"-style": its formula is from secondary sources, its gate on response length is left out, and its division by C_min is
made safe where C_min is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from verl_hdpo.algorithm.estimators.group_relative import cheapest_correct, grpo
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.settings.group import AlgorithmSettings


@dataclass(frozen=True)
class SlimSearcherSettings(AlgorithmSettings):
    """Settings of ``slimsearcher_style``.

    Attributes:
        floor: least denominator of the relative cost, > 0. The published eps, 1e-6, gives a correct rollout that called
            a tool the reward of a wrong one as soon as another got by without; 1 counts calls there instead.
    """

    GROUP: ClassVar[str] = "slimsearcher_style"
    EXAMPLE: ClassVar[str] = "floor=1"

    floor: float = 1.0

    def __post_init__(self) -> None:
        self._require_positive("floor")


def slimsearcher_style(rollouts: RolloutScalars, settings: SlimSearcherSettings, norm_by_std: bool = True) -> Tensor:
    """GRPO on R = c gate, a reward of its own in the place of verl's: c is 1 if correct, else 0, and

        gate = 2 e^-d / (e^-d + 1),   d = (C - C_min) / max(C_min, floor),   C_min the least C among the correct of G

    Returns:
        (B,) float32; 0 for rollouts of unknown outcome.
    """
    cost_B, cheapest_B = rollouts.cost_B.double(), cheapest_correct(rollouts)
    excess_B = (cost_B - cheapest_B) / cheapest_B.clamp(min=settings.floor)
    gate_B = 2 * torch.sigmoid(-excess_B)  # 2 e^-d / (e^-d + 1)
    return grpo(rollouts, torch.where(rollouts.correct_B, gate_B, 0.0), norm_by_std)
