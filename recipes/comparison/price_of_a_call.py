"""The price of a call: what accuracy it must gain for an algorithm to teach it in place of a direct answer.

    .venv/bin/python recipes/comparison/price_of_a_call.py --algos 'hdpo,hdpo[w_tool=0.3],gdpo,grpo_penalty[a=0.3]'

A prompt's rollouts call a tool with probability u, once; they are right with probability p1 where they do and p0 where
not. A policy gradient moves u by E[A (1{call} - u)] for the advantages A. The price is p1 - p0 at the p0 where that is
0: a call that gains less is unlearned, one that gains more is kept. By the estimators themselves, on sampled groups.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import yaml
from torch import Tensor

from verl_hdpo.compare.variant import Variant, parse_variants
from verl_hdpo.estimators import ESTIMATORS
from verl_hdpo.estimators.scalars import RolloutScalars

GROUPS = 10_000
HALVINGS = 12


def advantages_of(variant: Variant) -> Callable[[RolloutScalars], Tensor]:
    """The advantage that the loss comes to as long as no token is clipped; ``grpo`` is HDPO with ``w_tool=0``."""
    if variant.algorithm == "grpo":
        return advantages_of(Variant("hdpo", (("w_tool", "0"),)))
    if variant.algorithm not in ESTIMATORS:
        raise SystemExit(f"{variant.label} is none of grpo, gdpo, {', '.join(ESTIMATORS)}")
    estimator = ESTIMATORS[variant.algorithm]
    settings = estimator.settings.from_mapping({key: yaml.safe_load(value) for key, value in variant.knobs})

    def of(rollouts: RolloutScalars) -> Tensor:
        found = estimator.advantages(rollouts, settings)
        if isinstance(found, Tensor):
            return found
        accuracy, efficiency = found
        return settings.w_acc * accuracy + settings.w_tool * efficiency

    return of


def push(advantages: Callable[[RolloutScalars], Tensor], p0: float, p1: float, u: float, size: int) -> float:
    """E[A (1{call} - u)], over the same draws whatever p0 is."""
    draws = torch.Generator().manual_seed(0)
    called = torch.rand(GROUPS * size, generator=draws) < u
    correct = torch.rand(GROUPS * size, generator=draws) < torch.where(called, p1, p0)
    rollouts = RolloutScalars(
        rewards_B=correct.float(),
        group_B=torch.arange(GROUPS).repeat_interleave(size),
        known_B=torch.ones_like(correct),
        correct_B=correct,
        cost_B=called.double(),
    )
    return (advantages(rollouts).double() * (called.double() - u)).mean().item()


def price(advantages: Callable[[RolloutScalars], Tensor], p1: float, u: float, size: int) -> float:
    """p1 - p0 at which calls are neither taught nor unlearned, by bisection; inf if even p1 buys no call."""
    if push(advantages, 0.0, p1, u, size) < 0:
        return float("inf")
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if push(advantages, middle, p1, u, size) > 0 else (low, middle)
    return p1 - low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algos", required=True, help="as of verl-hdpo compare")
    parser.add_argument("--right", type=float, default=0.8, help="p1, share right with a call (default: %(default)s)")
    parser.add_argument("--use", type=float, nargs="+", default=[0.5, 0.95], help="u (default: 0.5 0.95)")
    parser.add_argument("-n", type=int, default=16, help="rollouts of a prompt (default: %(default)s)")
    args = parser.parse_args()
    print(f"| points of accuracy | {' | '.join(f'u = {use}' for use in args.use)} |")
    print(f"|---|{'---|' * len(args.use)}")
    for variant in parse_variants(args.algos):
        prices = [price(advantages_of(variant), args.right, use, args.n) for use in args.use]
        told = ["more than it gives" if cost == float("inf") else str(round(100 * cost)) for cost in prices]
        print(f"| `{variant.label}` | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
