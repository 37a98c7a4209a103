"""``adatir_style``: a tool penalty on easy prompts only, after AdaTIR (https://arxiv.org/abs/2601.14696).

"-style": its formula is from secondary sources, its clipping of advantages is known only by what it is for, and the
defaults are this package's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from verl_hdpo.algorithm.estimators.group_relative import grpo
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.settings.group import AlgorithmSettings, is_number


@dataclass(frozen=True)
class AdaTIRSettings(AlgorithmSettings):
    """Settings of ``adatir_style``.

    Attributes:
        penalty: lambda >= 0, taken from the reward at ``max_calls`` calls.
        easy_below: phi_low in [0, 1]: a prompt is easy where the share of wrong answers is below it.
        max_calls: N_max > 0, calls (or cost) at which the penalty is full.
    """

    GROUP: ClassVar[str] = "adatir_style"
    EXAMPLE: ClassVar[str] = "penalty=0.15"

    penalty: float = 0.15
    easy_below: float = 0.5
    max_calls: float = 5

    def __post_init__(self) -> None:
        self._require_at_least_0("penalty")
        self._require(is_number(self.easy_below) and 0 <= self.easy_below <= 1, "easy_below", "a number in [0, 1]")
        self._require_positive("max_calls")


def adatir_style(rollouts: RolloutScalars, settings: AdaTIRSettings, norm_by_std: bool = True) -> Tensor:
    """max(A, 0) for correct rollouts, else A, where A is GRPO on

        R = r_acc - penalty sin(pi/2 min(C / max_calls, 1)) for correct rollouts of easy prompts, else r_acc

    A prompt is easy where phi < easy_below, phi = 1 - pass rate of the group's rollouts of known outcome. The maximum
    keeps a penalty from making a right answer less likely.

    Returns:
        (B,) float32; 0 for rollouts of unknown outcome.
    """
    known_N = torch.bincount(rollouts.group_B, weights=rollouts.known_B.double())
    correct_N = torch.bincount(rollouts.group_B, weights=rollouts.correct_B.double())
    difficulty_B = (1 - correct_N / known_N)[rollouts.group_B]
    share_B = (rollouts.cost_B.double() / settings.max_calls).clamp(max=1)
    penalised_B = rollouts.correct_B & (difficulty_B < settings.easy_below)
    penalty_B = torch.where(penalised_B, settings.penalty * torch.sin(math.pi / 2 * share_B), 0.0)
    advantages_B = grpo(rollouts, rollouts.rewards_B.double() - penalty_B, norm_by_std)
    return torch.where(rollouts.correct_B, advantages_B.clamp(min=0), advantages_B)
