"""``eapo_style``: the reward of EAPO, which punishes calls the more the easier a prompt is (arXiv 2606.02132).

"-style": of the paper's three parts this is the second, its equations (4) to (6). Rollouts that may call no tool are a
matter of the rollout, and its weights by the tokens' confidence are left out.
Source: https://arxiv.org/abs/2606.02132, section 3.
"""

from __future__ import annotations

import torch

from verl_hdpo.algorithm.estimators.group_relative import cheapest_correct, grpo, pass_rate
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def eapo_style(rollouts: RolloutScalars, *, beta: float, norm_by_std: bool = True) -> Advantages:
    """GRPO on R = [d + (1 - d) e] r_acc,  e = exp(-beta (C - C_min)),  d = 1 - pass rate of the group's known rollouts

    C_min is the least C among the correct of G; e = 1 for a rollout that called no tool. A wrong rollout has r_acc = 0
    in the paper, or -1 for a wrong format; here it keeps what it has, unscaled.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    easy_B = pass_rate(rollouts)
    thrift_B = torch.exp(-beta * (rollouts.cost_B - cheapest_correct(rollouts)))
    efficiency_B = torch.where(rollouts.correct_B & (rollouts.cost_B > 0), thrift_B, 1.0)
    return grpo(rollouts, (1 - easy_B + easy_B * efficiency_B) * rollouts.rewards_B.double(), norm_by_std)
