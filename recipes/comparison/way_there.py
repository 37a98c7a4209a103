"""The way that the runs of a comparison took, from their training steps.

    .venv/bin/python recipes/comparison/way_there.py outputs/comparison/quickstart

A row per algorithm, seed and kind of question, written to ``way_there.csv`` in the same folder:

    off_by           first step with fewer than 10 % calls (``--off``); empty: there was none
    least_accuracy   the lowest of a step
    sign_errors      mean over steps of hdpo/tool/sign_errors, which runs with ``tool_tokens=decision`` report
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas

RUN = ["variant", "seed", "source"]
EVERYTHING = "all"


def way_there(metrics: pandas.DataFrame, off: float) -> pandas.DataFrame:
    """``metrics`` as verl-hdpo compare writes them."""
    train = metrics[metrics.phase == "train"]
    use, right, errors = (train[train.metric == name] for name in ("tool_use_rate", "accuracy", "sign_errors"))
    table = right[right.source != EVERYTHING].groupby(RUN).value.min().rename("least_accuracy").reset_index()
    first = use[use.value < off].groupby(RUN).step.min().rename("off_by").astype("Int64")
    table = table.merge(first, "left", left_on=RUN, right_index=True)
    means = errors.groupby(["variant", "seed"]).value.mean().rename("sign_errors")
    return table.merge(means, "left", left_on=["variant", "seed"], right_index=True).round(4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path, help="folder of compare.py")
    parser.add_argument("--off", type=float, default=0.1, help="share of answers with a call (default: %(default)s)")
    args = parser.parse_args()
    table = way_there(pandas.read_csv(args.comparison / "metrics.csv"), args.off)
    table.to_csv(args.comparison / "way_there.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
