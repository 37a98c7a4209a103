"""Draw a comparison's tool use over the price of a call of its algorithms, and print the prices.

    .venv/bin/python recipes/comparison/price_of_a_call.py --summary OUT/summary.csv --picture price.png

``verl-hdpo price`` prints those of any algorithm; what a price is and how it is computed: verl_hdpo/compare/pricing.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pandas

from verl_hdpo.compare.pricing.algorithm import price_of_variant
from verl_hdpo.compare.pricing.report import in_points
from verl_hdpo.compare.pricing.simulation import Conditions
from verl_hdpo.compare.variant import Variant, VariantError, own_variants

STYLES = {
    "hdpo": ("tab:blue", "o"),
    "priced": ("tab:green", "^"),
    "grpo": ("black", "o"),
    "grpo_penalty": ("tab:orange", "s"),
}


def draw(summary: pandas.DataFrame, prices: Mapping[Variant, float], picture: Path) -> None:
    """Tool use at the end of the runs over the price of a call, a panel per data source; inf stands at 100."""
    from matplotlib import pyplot

    rates = summary[summary.metric == "tool_use_rate"].set_index(["source", "variant"])
    sources = sorted(summary.source.unique())
    size = (4 * len(sources), 3.4)
    figure, panels = pyplot.subplots(1, len(sources), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for panel, source in zip(panels[0], sources, strict=True):
        for variant, price in prices.items():
            row = rates.loc[(source, variant.label)]
            colour, marker = STYLES.get(variant.algorithm, ("tab:gray", "D"))
            gated = variant.algorithm == "grpo_penalty" and "gated" in dict(variant.knobs)
            name = f"{variant.algorithm}, gated" if gated else variant.algorithm
            spread = [[row["mean"] - row["min"]], [row["max"] - row["mean"]]]
            panel.errorbar(min(100 * price, 100), row["mean"], spread, fmt=marker, color=colour, capsize=3,
                           markerfacecolor="white" if gated else colour, label=name)  # fmt: skip
        panel.set(title=source, xlabel="price of a call, points of accuracy", ylim=(-0.03, 1.03))
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("answers with a call")
    handles = dict(zip(*reversed(panels[0][0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
    figure.savefig(picture, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv of a comparison")
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    parser.add_argument("--right", type=float, default=0.8, help="p1, share right with a call (default: %(default)s)")
    parser.add_argument(
        "--use", type=float, default=0.5, help="u, share of rollouts with a call (default: %(default)s)"
    )
    parser.add_argument("-n", type=int, default=16, help="rollouts of a prompt (default: %(default)s)")
    args = parser.parse_args()
    summary = pandas.read_csv(args.summary)
    try:
        variants = own_variants(",".join(summary.variant.unique()))
        where = Conditions(args.right, args.use, args.n)
        prices = {variant: price_of_variant(variant, where) for variant in variants}
    except VariantError as error:
        raise SystemExit(str(error)) from None
    for variant, price in prices.items():
        print(f"| `{variant.label}` | {in_points(price)} |")
    draw(summary, prices, args.picture)


if __name__ == "__main__":
    main()
