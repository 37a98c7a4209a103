"""Collect the last validations of comparisons in one file, and show them: mean over seeds, lowest to highest.

    .venv/bin/python recipes/comparison/runs_table.py docs/comparison/guard/runs.csv outputs/comparison/mixed

A run that the file has already is replaced, so that seeds can be made one after the other, on several machines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas

RUN = ["variant", "seed", "source"]
FIGURES = ["tool_use_rate", "accuracy"]


def last_validation(comparison: Path) -> pandas.DataFrame:
    """A row per finished run and kind of question of a folder of compare.py."""
    metrics = pandas.read_csv(comparison / "metrics.csv")
    last = metrics[(metrics.phase == "validation") & (metrics.source != "all")]
    last = last[last.step == last.groupby(["variant", "seed"]).step.transform("max")]
    return last.pivot_table(index=RUN, columns="metric", values="value").reset_index()[[*RUN, *FIGURES]].round(4)


def collected(known: pandas.DataFrame, new: pandas.DataFrame) -> pandas.DataFrame:
    """Both; of a run that is in both, the new one."""
    return pandas.concat([known, new]).drop_duplicates(RUN, keep="last").sort_values(RUN, ignore_index=True)


def shown(table: pandas.DataFrame) -> str:
    """A Markdown table in %."""
    lines = ["| kind | algorithm | seeds | calls | accuracy |", "|---|---|---|---|---|"]
    for (source, variant), some in table.groupby(["source", "variant"]):
        cells = [f"{100 * some[name].mean():.1f} ({100 * some[name].min():.0f} to {100 * some[name].max():.0f})"
                 for name in FIGURES]  # fmt: skip
        lines.append(f"| `{source}` | `{variant}` | {some.seed.nunique()} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="runs.csv, made if it is not there")
    parser.add_argument("comparisons", type=Path, nargs="*", help="folders of compare.py; none: show the file")
    args = parser.parse_args()
    table = pandas.read_csv(args.file) if args.file.exists() else pandas.DataFrame(columns=[*RUN, *FIGURES])
    for comparison in args.comparisons:
        table = collected(table, last_validation(comparison))
    args.file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.file, index=False)
    print(shown(table))


if __name__ == "__main__":
    main()
