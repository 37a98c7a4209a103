"""``adatir_style``: a tool penalty on easy prompts only, after AdaTIR (https://arxiv.org/abs/2601.14696).

"-style": its formula is from secondary sources, its clipping of advantages is known only by what it is for, and the
defaults are this package's.
"""

from __future__ import annotations

import math

import torch

from verl_hdpo.algorithm.estimators.group_relative import grpo, pass_rate
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def adatir_style(
    rollouts: RolloutScalars, *, penalty: float, easy_below: float, max_calls: float, norm_by_std: bool = True
) -> Advantages:
    """max(A, 0) for correct rollouts, else A, where A is GRPO on

        R = r_acc - penalty sin(pi/2 min(C / max_calls, 1)) for correct rollouts of easy prompts, else r_acc

    A prompt is easy where phi < easy_below, phi = 1 - pass rate of the group's rollouts of known outcome. The maximum
    keeps a penalty from making a right answer less likely.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    difficulty_B = 1 - pass_rate(rollouts)
    share_B = (rollouts.cost_B / max_calls).clamp(max=1)
    penalised_B = rollouts.correct_B & (difficulty_B < easy_below)
    penalty_B = torch.where(penalised_B, penalty * torch.sin(math.pi / 2 * share_B), 0.0)
    advantages_B = grpo(rollouts, rollouts.rewards_B.double() - penalty_B, norm_by_std).accuracy_B
    return Advantages(torch.where(rollouts.correct_B, advantages_B.clamp(min=0), advantages_B))
