"""``slimsearcher_style``: correctness times a gate on relative cost, after SlimSearcher (https://arxiv.org/abs/2606.07074).

"-style": its formula is from secondary sources, its gate on response length is left out, and its division by C_min is
made safe where C_min is 0.
"""

from __future__ import annotations

import torch

from verl_hdpo.algorithm.estimators.group_relative import cheapest_correct, grpo
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def slimsearcher_style(rollouts: RolloutScalars, *, floor: float, norm_by_std: bool = True) -> Advantages:
    """GRPO on R = c gate, a reward of its own in the place of verl's: c is 1 if correct, else 0, and

        gate = 2 e^-d / (e^-d + 1),   d = (C - C_min) / max(C_min, floor),   C_min the least C among the correct of G

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    cost_B, cheapest_B = rollouts.cost_B, cheapest_correct(rollouts)
    excess_B = (cost_B - cheapest_B) / cheapest_B.clamp(min=floor)
    gate_B = 2 * torch.sigmoid(-excess_B)  # 2 e^-d / (e^-d + 1)
    return grpo(rollouts, torch.where(rollouts.correct_B, gate_B, 0.0), norm_by_std)
