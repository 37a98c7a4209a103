"""The price of a call: what accuracy it must gain for an algorithm to teach it in place of a direct answer.

    .venv/bin/python recipes/comparison/price_of_a_call.py --algos 'hdpo,hdpo[w_tool=0.3],gdpo,grpo_penalty[a=0.3]'
    .venv/bin/python recipes/comparison/price_of_a_call.py --summary OUT/summary.csv --picture price.png

A prompt's rollouts call a tool with probability u, once; they are right with probability p1 where they do and p0 where
not. A policy gradient moves u by E[A (1{call} - u)] for the advantages A. The price is p1 - p0 at the p0 where that is
0: a call that gains less is unlearned, one that gains more is kept. By the estimators themselves, on sampled groups.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas
import torch
import yaml
from torch import Tensor

from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.compare.variant import Variant, VariantError, parse_variants
from verl_hdpo.settings.algorithms import ALGORITHMS

STYLES = {"hdpo": ("tab:blue", "o"), "grpo": ("black", "o"), "grpo_penalty": ("tab:orange", "s")}
GROUPS = 10_000
HALVINGS = 12


def advantages_of(variant: Variant) -> Callable[[RolloutScalars], Tensor]:
    """The advantage that the loss comes to as long as no token is clipped; ``grpo`` is HDPO with ``w_tool=0``."""
    if variant.algorithm == "grpo":
        return advantages_of(Variant("hdpo", (("w_tool", "0"),)))
    if variant.algorithm not in ESTIMATORS:
        raise SystemExit(f"{variant.label} is none of grpo, gdpo, {', '.join(ESTIMATORS)}")
    settings = ALGORITHMS[variant.algorithm].from_mapping(
        {key: yaml.safe_load(value) for key, value in variant.knobs if "." not in key}
    )
    norm_by_std = getattr(settings, "norm_by_std", None) is not False

    def of(rollouts: RolloutScalars) -> Tensor:
        found = ESTIMATORS[variant.algorithm](rollouts, norm_by_std=norm_by_std, **settings.parameters)
        if found.efficiency_B is None:
            return found.accuracy_B
        return found.weighted(settings.w_acc, settings.w_tool)

    return of


def price(advantages: Callable[[RolloutScalars], Tensor], p1: float, u: float, size: int) -> float:
    """p1 - p0 at which calls are neither taught nor unlearned, by bisection; inf if even p1 buys no call."""
    draws = torch.Generator().manual_seed(0)
    called = torch.rand(GROUPS * size, generator=draws) < u
    luck = torch.rand(GROUPS * size, generator=draws)
    group_B = torch.arange(GROUPS).repeat_interleave(size)

    def push(p0: float) -> float:
        """E[A (1{call} - u)], over the same draws whatever p0 is."""
        correct = luck < torch.where(called, p1, p0)
        rollouts = RolloutScalars(
            rewards_B=correct.float(),
            group_B=group_B,
            known_B=torch.ones_like(correct),
            correct_B=correct,
            cost_B=called.double(),
            format_ok_B=torch.ones_like(correct),
        )
        return (advantages(rollouts).double() * (called.double() - u)).mean().item()

    if push(0.0) < 0:
        return float("inf")
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if push(middle) > 0 else (low, middle)
    return p1 - low


def draw(summary: pandas.DataFrame, prices: Mapping[Variant, float], picture: Path) -> None:
    """Tool use at the end of the runs over the price of a call, a panel per data source; inf stands at 100."""
    from matplotlib import pyplot

    rates = summary[summary.metric == "tool_use_rate"].set_index(["source", "variant"])
    sources = sorted(summary.source.unique())
    size = (4 * len(sources), 3.4)
    figure, panels = pyplot.subplots(1, len(sources), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for panel, source in zip(panels[0], sources, strict=True):
        for variant, cost in prices.items():
            row = rates.loc[(source, variant.label)]
            colour, marker = STYLES.get(variant.algorithm, ("tab:gray", "D"))
            gated = variant.algorithm == "grpo_penalty" and "gated" in dict(variant.knobs)
            name = f"{variant.algorithm}, gated" if gated else variant.algorithm
            spread = [[row["mean"] - row["min"]], [row["max"] - row["mean"]]]
            panel.errorbar(min(100 * cost, 100), row["mean"], spread, fmt=marker, color=colour, capsize=3,
                           markerfacecolor="white" if gated else colour, label=name)  # fmt: skip
        panel.set(title=source, xlabel="price of a call, points of accuracy", ylim=(-0.03, 1.03))
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("answers with a call")
    handles = dict(zip(*reversed(panels[0][0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
    figure.savefig(picture, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algos", help="as of verl-hdpo compare")
    parser.add_argument("--summary", type=Path, help="summary.csv of a comparison: its algorithms")
    parser.add_argument("--picture", type=Path, help="PNG of that comparison's tool use over the price, at the first u")
    parser.add_argument("--right", type=float, default=0.8, help="p1, share right with a call (default: %(default)s)")
    parser.add_argument("--use", type=float, nargs="+", default=[0.5, 0.95], help="u (default: 0.5 0.95)")
    parser.add_argument("-n", type=int, default=16, help="rollouts of a prompt (default: %(default)s)")
    args = parser.parse_args()
    if not (args.algos or args.summary) or (args.picture and not args.summary):
        parser.error("give --algos or --summary; --picture needs --summary")
    summary = pandas.read_csv(args.summary) if args.summary else None
    algos = args.algos or ",".join(summary.variant.unique())
    print(f"| points of accuracy | {' | '.join(f'u = {use}' for use in args.use)} |")
    print(f"|---|{'---|' * len(args.use)}")
    first = {}
    try:
        variants = parse_variants(algos)
    except VariantError as error:
        raise SystemExit(f"{error}; name the algorithms with --algos") from None
    for variant in variants:
        prices = [price(advantages_of(variant), args.right, use, args.n) for use in args.use]
        told = ["more than it gives" if cost == float("inf") else str(round(100 * cost)) for cost in prices]
        print(f"| `{variant.label}` | {' | '.join(told)} |", flush=True)
        first[variant] = prices[0]
    if args.picture:
        draw(summary, first, args.picture)


if __name__ == "__main__":
    main()
