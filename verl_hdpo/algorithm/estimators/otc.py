"""``otc``: OTC-GRPO, the correctness reward times a tool-efficiency factor (https://arxiv.org/abs/2504.14870)."""

from __future__ import annotations

import math

import torch

from verl_hdpo.algorithm.estimators.group_relative import cheapest_correct, grpo
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def otc(rollouts: RolloutScalars, *, smoothing: float, norm_by_std: bool = True) -> Advantages:
    """GRPO on R = r_tool r_acc, with m = C, n the least C among the correct rollouts of the group, and

        r_tool = cos(m pi / (2m + c)) if n = 0, else sin(f pi / (2n)) with f = 2nm / (m + n)

    so r_tool = 1 at m = n. The paper's scale alpha is left out: it cancels in the normalisation by std. The paper keeps
    the least n seen over the epochs; here it is that of the batch. A wrong rollout has r_acc = 0 in the paper; here it
    keeps what it has, for format say, unscaled.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome.
    """
    m_B, n_B = rollouts.cost_B, cheapest_correct(rollouts)
    no_tool_needed_B = torch.cos(math.pi * m_B / (2 * m_B + smoothing))
    tool_needed_B = torch.sin(math.pi * m_B / (m_B + n_B))  # f / (2n) = m / (m + n)
    r_tool_B = torch.where(n_B == 0, no_tool_needed_B, tool_needed_B)
    factor_B = torch.where(rollouts.correct_B, r_tool_B, 1.0)
    return grpo(rollouts, factor_B * rollouts.rewards_B.double(), norm_by_std)
