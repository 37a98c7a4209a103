"""``priced``: accuracy less a price per unit of cost, so that a call is taught exactly if it gains its price.

Own to this package. Let p1 and p0 be the accuracy with and without a call. A policy gradient raises the probability of
the call where E[A (1{call} - u)] > 0, u its probability. With the other rollouts held fixed, d_i and the group's mean
over the others are constants, so that

    E[A_i (1{call_i} - u)] = (1 - 1/n) u (1 - u) [(p1 - p0) - price] E[1/d]

whatever p1, p0, u and n are: the sign is that of gain less price. GRPO's std_G contains the rollout itself, and is
larger where the rollout is the odd one out; that correlation moves the price, here it cannot.

Shape suffixes: B rollouts, N groups of one size, G rollouts of a group.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verl_hdpo.algorithm.advantages import EPS, groups_by_size
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars


def priced(
    rollouts: RolloutScalars,
    *,
    price: float | Tensor,
    gated: bool = False,
    answer_weight: float = 1.0,
    norm_by_std: bool = True,
) -> Advantages:
    """A_i = [(r_i - mean_G r) - w price (C_i - mean_G C) g_i] / d_i,   d_i = max(std_{G without i}(r), w / sqrt(n))

    over the n rollouts of known outcome of a group; d_i = 1 without ``norm_by_std``. The floor w / sqrt(n), about the
    deviation of a group with one wrong answer, keeps groups that are all right or all wrong from blowing their price
    term up to full size.

    g_i = 1, or where ``gated``, c_i n_k / q_k: of the n_k rollouts whose cost equals C_i, only the q_k correct ones
    carry the price, also that of their wrong peers. Tool use then plays no part among wrong answers. Where a cost has
    no correct rollout its share is lost. Where all rollouts with a call cost the same, the price is then at most the
    one asked for; it nears that as n grows.

    Args:
        price: reward that one unit of cost must gain, in answers; a number, or one per rollout, (B,).
        answer_weight: w, what a right answer adds to the reward.

    Returns:
        One channel, (B,) float32; 0 for rollouts of unknown outcome and for those without a known peer.
    """
    rewards_B, cost_B = rollouts.rewards_B.double(), rollouts.cost_B
    worth_B = answer_weight * torch.as_tensor(price, dtype=torch.float64).expand_as(cost_B)
    advantages_B = torch.zeros_like(cost_B)
    for rows_NG in groups_by_size(rollouts.group_B, rollouts.known_B):
        size = rows_NG.shape[1]
        if size == 1:
            continue
        paid_NG = _centred(cost_B[rows_NG])
        if gated:
            paid_NG = paid_NG * _shares(cost_B[rows_NG], rollouts.correct_B[rows_NG])
        gain_NG = _centred(rewards_B[rows_NG])
        scale_NG = _std_of_others(gain_NG).clamp(min=answer_weight * size**-0.5) if norm_by_std else 1.0
        advantages_B[rows_NG] = (gain_NG - worth_B[rows_NG] * paid_NG) / scale_NG
    return Advantages(advantages_B.float())


def _centred(values_NG: Tensor) -> Tensor:
    return values_NG - values_NG.mean(dim=1, keepdim=True)


def _std_of_others(centred_NG: Tensor) -> Tensor:
    """Unbiased standard deviation of each row's other members, (N, G); 0 where there is but one other.

    From sum_{j != i} (x_j - mean_{-i})^2 = S - n / (n - 1) (x_i - mean)^2, S the sum of squares of all n.
    """
    size, squares_NG = centred_NG.shape[1], centred_NG.square()
    others_NG = squares_NG.sum(dim=1, keepdim=True) - squares_NG * size / (size - 1)
    return (others_NG / max(size - 2, 1)).clamp(min=0).sqrt()


def _shares(cost_NG: Tensor, correct_NG: Tensor) -> Tensor:
    """c_i n_k / q_k: for each correct rollout, all of its group with its cost over the correct ones of them."""
    kind_NG = _kinds(cost_NG)
    all_K, correct_K = torch.bincount(kind_NG.flatten()), torch.bincount(kind_NG[correct_NG], minlength=cost_NG.numel())
    return torch.where(correct_NG, all_K[kind_NG] / correct_K[kind_NG].clamp(min=1), 0.0)


def _kinds(cost_NG: Tensor) -> Tensor:
    """A number for each group and cost in it, (N, G) int64 below N G; costs less than eps apart are one."""
    sorted_NG, order_NG = cost_NG.sort(dim=1)
    another_NG = torch.diff(sorted_NG, dim=1, prepend=sorted_NG[:, :1]) >= EPS
    kind_NG = torch.zeros_like(order_NG).scatter(1, order_NG, another_NG.long().cumsum(dim=1))
    groups, size = cost_NG.shape
    return kind_NG + size * torch.arange(groups, device=cost_NG.device)[:, None]
