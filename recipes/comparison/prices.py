"""Draw what every algorithm asks of a call, over how often the model calls: the price of a call.

    .venv/bin/python recipes/comparison/prices.py docs/comparison/prices.png

A panel per share of answers right with a call; nothing is trained, and nothing drawn at random but for sa_mrpo.
"""

from __future__ import annotations

import sys

from matplotlib import pyplot

from verl_hdpo.compare.pricing.algorithm import price_of_variant
from verl_hdpo.compare.pricing.simulation import Conditions
from verl_hdpo.compare.variant import parse_variants

ALGOS = (
    "priced,priced[gated=true],hdpo,grpo_penalty,grpo_penalty[gated=true],turn_penalty,adatir_style,ikea,"
    "gdpo_conditioned,eapo_style,slimsearcher_style,otc,dvao,sa_mrpo,tool_gdpo"
)
RIGHT = (0.5, 0.8, 0.95)
USES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
SIZE = 8
TOP = 70
"""Points at which a price is cut off: what no call gains stands there too."""


def main(picture: str) -> None:
    figure, panels = pyplot.subplots(1, len(RIGHT), figsize=(13, 5), sharey=True, layout="constrained")
    colours = pyplot.get_cmap("tab20").colors
    for panel, right in zip(panels, RIGHT, strict=True):
        for variant, colour in zip(parse_variants(ALGOS), colours, strict=False):
            prices = [min(100 * price_of_variant(variant, Conditions(right, use, SIZE)), TOP) for use in USES]
            ours = variant.algorithm in ("priced", "hdpo")
            style = "--" if "gated" in dict(variant.knobs) else "-"
            panel.plot(USES, prices, style, color=colour, linewidth=2.5 if ours else 1.2, label=variant.label)
        panel.set(title=f"{right:.0%} right with a call", xlabel="share of rollouts with a call", ylim=(-1, TOP + 1))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("price of a call, points of accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    main(sys.argv[1])
