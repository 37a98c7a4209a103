"""Whether ``priced`` keeps its word: calls left at the end of each run, over what they gain beyond the price.

    .venv/bin/python recipes/comparison/gain_beyond_price.py outputs/comparison/mixed docs/comparison/priced

Reads a comparison on the task ``mixed`` and writes ``runs.csv`` and ``calls.png``, a dot per run and kind of question.
A call gains what the model that a run starts from has right with one, less what it has right without.
Runs that ``runs.csv`` has already stay in it, unless they were made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas
import right_answers
import runs_table

from verl_hdpo.runs.palette import OTHERS

MARGIN = 0.1
"""Within it of the price, nothing is asked of a run."""
SHAPES = {"known": "o", "half_known": "^", "needed": "s"}


def runs(comparison: Path) -> pandas.DataFrame:
    """A row per run of ``priced`` without a guard and kind: price, gain, calls and accuracy in the last validation."""
    table = runs_table.last_validation(comparison)
    table["price"] = table.variant.str.extract(r"^priced\[price=([\d.]+)\]$", expand=False).astype(float)
    table = table[table.price.notna()]
    starts = {seed: right_answers.of_start(comparison / f"start-{seed}") for seed in table.seed.unique()}
    gains = [starts[row.seed][row.source].gain for row in table.itertuples()]
    table = table.assign(gain=gains)[["variant", "seed", "source", "price", "gain", "tool_use_rate", "accuracy"]]
    return table.round(4).sort_values(["price", "seed", "gain"])


def draw(table: pandas.DataFrame, picture: Path) -> None:
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(7, 4), layout="constrained")
    low, high = -55, 80
    panel.fill_between([low, -100 * MARGIN], 0, 10, color="0.9", label="goal")
    panel.fill_between([100 * MARGIN, high], 90, 100, color="0.9")
    colours = dict(zip(sorted(table.price.unique()), OTHERS, strict=False))
    for (price, source), some in table.groupby(["price", "source"]):
        panel.plot(100 * (some.gain - price), 100 * some.tool_use_rate, SHAPES[source], color=colours[price],
                   label=f"price {100 * price:.0f}, {source}")  # fmt: skip
    panel.set(xlabel="what a call gains beyond the price, points of accuracy", ylabel="answers with a call, %")
    panel.set(xlim=(low, high), ylim=(-3, 103))
    panel.axvline(0, color="0.6", linewidth=0.8)
    figure.legend(loc="outside right center", fontsize="small")
    figure.savefig(picture, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path, help="folder of compare.py --task mixed")
    parser.add_argument("out", type=Path, help="folder for runs.csv and calls.png")
    args = parser.parse_args()
    table, file = runs(args.comparison), args.out / "runs.csv"
    if file.exists():
        table = runs_table.collected(pandas.read_csv(file), table).sort_values(["price", "seed", "gain"])
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False)
    draw(table, args.out / "calls.png")
    below, above = table[table.gain < table.price - MARGIN], table[table.gain > table.price + MARGIN]
    print(table.to_string(index=False))
    print(f"10 points below the price: {(below.tool_use_rate < 0.1).sum()} of {len(below)} end under 10 % calls")
    print(f"10 points above the price: {(above.tool_use_rate > 0.9).sum()} of {len(above)} end over 90 % calls")


if __name__ == "__main__":
    main()
