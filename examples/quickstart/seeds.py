"""Before and after over seeds: a table (markdown) and a picture of all quickstart runs found.

for seed in 1 2 3 4 5; do make quickstart SEED=$seed; make quickstart SEED=$seed ALGO=grpo; done
.venv/bin/python examples/quickstart/seeds.py --picture docs/quickstart.png
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from questions import KINDS
from report import LABELS

from verl_hdpo.runs.palette import colours

ALGOS = ("hdpo", "grpo")

Summaries = dict[str, list[dict[str, Any]]]


def load(root: Path) -> Summaries:
    """The summaries of finished runs, by algorithm."""
    found: Summaries = defaultdict(list)
    for path in sorted(root.glob("*-seed*/summary.json")):
        summary = json.loads(path.read_text())
        found[summary["algo"]].append(summary)
    if not found:
        raise SystemExit(f"no finished run under {root}; start one with: make quickstart")
    return found


def spread(values: list[float]) -> str:
    """Mean and range, in per cent."""
    mean = sum(values) / len(values)
    return f"{100 * mean:.1f} ({100 * min(values):.1f} to {100 * max(values):.1f})"


def markdown(summaries: Summaries) -> str:
    lines = [
        "| algorithm (seeds) | question | tool use before, % | after, % | accuracy before, % | after, % |",
        "|---|---|---|---|---|---|",
    ]
    for algo in ALGOS:
        runs = summaries.get(algo, [])
        for kind in KINDS if runs else ():
            cells = [
                spread([run[when][f"{what}_{kind}"] for run in runs])
                for what in ("tool_rate", "accuracy")
                for when in ("before", "after")
            ]
            seeds = ", ".join(str(run["seed"]) for run in runs)
            lines.append(f"| {algo} ({seeds}) | {LABELS[kind]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(path: Path, summaries: Summaries) -> None:
    """Tool use over the steps of training, one line per run, a panel per kind of question."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for panel, kind in zip(panels, KINDS, strict=True):
        for algo in ALGOS:
            for number, run in enumerate(summaries.get(algo, [])):
                rates = [(row["step"], row[f"tool_rate_{kind}"]) for row in run["curves"] if f"tool_rate_{kind}" in row]
                steps, values = zip(*rates, strict=True)
                panel.plot(steps, values, color=colours(ALGOS)[algo], alpha=0.7, label=None if number else algo)
        panel.set(title=f"question {LABELS[kind]}", xlabel="training step", ylim=(-0.03, 1.03))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("share of answers that\ncalled the tool")
    panels[0].legend(loc="center right")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/quickstart"), help="where the runs are")
    parser.add_argument("--picture", type=Path, help="also draw the curves into this PNG")
    args = parser.parse_args()
    summaries = load(args.out)
    print(markdown(summaries))
    if args.picture:
        picture(args.picture, summaries)


if __name__ == "__main__":
    main()
