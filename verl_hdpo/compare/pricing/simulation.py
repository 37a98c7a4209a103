"""The price of a call of an estimator, from its advantages on groups of rollouts.

A prompt's n rollouts call a tool with probability u, once; they are right with probability p1 where they do and p0
where not. A policy gradient moves u by E[A (1{call} - u)] for the advantages A. The price is p1 - p0 at the p0 where
that is 0: a call that gains less is unlearned, one that gains more is kept.

A group's advantages depend on four counts only, of calls and direct answers, right and wrong. The expectation is over
all groups, each weighted by its multinomial probability, so that nothing is drawn; but for estimators that look at the
whole batch, and groups too large to enumerate, where it is over groups drawn from a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from verl_hdpo.algorithm.scalars import RolloutScalars

AdvantagesOf = Callable[[RolloutScalars], Tensor]
"""From B rollouts to the advantage that the loss comes to as long as no token is clipped, (B,)."""

LARGEST_ENUMERATED = 64
DRAWN_GROUPS, DRAWN_ROLLOUTS = 8_000, 512_000
"""Groups drawn: that many, but for groups so large that they would hold more rollouts."""
ROUNDING = 1e-7
"""Of a push, advantages being float32: a price of all that a call gains is not more than that."""
HALVINGS, DRAWN_HALVINGS = 20, 8
"""A price drawn is right to some 2 points of 100; halving further would only follow the draws."""


class Conditions(NamedTuple):
    """What a price depends on beside the algorithm.

    Attributes:
        right: p1, the share right with a call.
        use: u, the share of rollouts that call, in (0, 1).
        size: n, rollouts of a prompt.
        answer_weight: what a right answer adds to the reward; None: what the algorithm takes it to add, else 1.
        cost: of the call, C.
    """

    right: float
    use: float
    size: int
    answer_weight: float | None = None
    cost: float = 1.0


def price_of_a_call(advantages: AdvantagesOf, where: Conditions, drawn: bool = False) -> float:
    """p1 - p0 at which calls are neither taught nor unlearned, by bisection; inf if even p1 buys no call.

    Args:
        drawn: whether an advantage depends on the other groups of the batch.
    """
    drawn = drawn or where.size > LARGEST_ENUMERATED
    push = (_drawn if drawn else _enumerated)(_weighed(advantages, where), where.right, where.use, where.size)
    if push(0.0) < -ROUNDING:
        return math.inf
    low, high = 0.0, 1.0
    for _ in range(DRAWN_HALVINGS if drawn else HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if push(middle) > 0 else (low, middle)
    return where.right - low


def _enumerated(advantages: AdvantagesOf, right: float, use: float, size: int) -> Callable[[float], float]:
    """E[A (1{call} - u)] as a function of p0, over every group there can be; exact."""
    counts_S4, orderings_S = _groups(size)
    called, correct = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    kind_B = torch.arange(4).repeat(len(counts_S4)).repeat_interleave(counts_S4.flatten())
    group_B = torch.arange(len(counts_S4)).repeat_interleave(size)
    pushed_B = advantages(_rollouts(called[kind_B], correct[kind_B], group_B)).double() * (
        called[kind_B].double() - use
    )
    pushed_S = torch.bincount(group_B, weights=pushed_B) / size

    def push(direct: float) -> float:
        shares = torch.tensor([use * right, use * (1 - right), (1 - use) * direct, (1 - use) * (1 - direct)])
        log_S = orderings_S + torch.xlogy(counts_S4.double(), shares.double()).sum(dim=1)
        return (log_S.exp() * pushed_S).sum().item()

    return push


@lru_cache
def _groups(size: int) -> tuple[Tensor, Tensor]:
    """Each group of ``size`` by its four counts, (S, 4), and the logarithm of the number of its orderings, (S,)."""
    counts_S4 = torch.tensor(
        [
            (a, b, c, size - a - b - c)
            for a in range(size + 1)
            for b in range(size + 1 - a)
            for c in range(size + 1 - a - b)
        ]
    )
    return counts_S4, math.lgamma(size + 1) - torch.lgamma(counts_S4.double() + 1).sum(dim=1)


def _drawn(advantages: AdvantagesOf, right: float, use: float, size: int) -> Callable[[float], float]:
    """The same over one batch of groups, from the same draws whatever p0 is."""
    draws, groups = torch.Generator().manual_seed(0), min(DRAWN_GROUPS, DRAWN_ROLLOUTS // size)
    called_B = torch.rand(groups * size, generator=draws) < use
    luck_B = torch.rand(groups * size, generator=draws)
    group_B = torch.arange(groups).repeat_interleave(size)

    def push(direct: float) -> float:
        correct_B = luck_B < torch.where(called_B, right, direct)
        advantages_B = advantages(_rollouts(called_B, correct_B, group_B)).double()
        return (advantages_B * (called_B.double() - use)).mean().item()

    return push


def _weighed(advantages: AdvantagesOf, where: Conditions) -> AdvantagesOf:
    answer_weight = 1.0 if where.answer_weight is None else where.answer_weight

    def of(rollouts: RolloutScalars) -> Tensor:
        rewards_B, cost_B = answer_weight * rollouts.rewards_B, where.cost * rollouts.cost_B
        return advantages(replace(rollouts, rewards_B=rewards_B, cost_B=cost_B))

    return of


def _rollouts(called_B: Tensor, correct_B: Tensor, group_B: Tensor) -> RolloutScalars:
    everyone_B = torch.ones_like(correct_B)
    return RolloutScalars(correct_B.float(), group_B, everyone_B, correct_B, called_B.double(), everyone_B)
