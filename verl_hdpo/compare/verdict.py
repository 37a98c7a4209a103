"""``verdicts``: where a comparison ended, in words, and which figures are the best."""

from __future__ import annotations

from dataclasses import dataclass

import pandas


@dataclass(frozen=True)
class Verdict:
    """One data source.

    Attributes:
        accurate: the variants whose accuracy the seeds do not tell apart from the best, best mean first.
        thrifty: those of these with the fewest calls; empty where all make as many, or no run says.
        words: the same as a sentence or two.
    """

    source: str
    accurate: tuple[str, ...]
    thrifty: tuple[str, ...]
    words: str


def verdicts(summary: pandas.DataFrame) -> list[Verdict]:
    """A verdict per source.

    Args:
        summary: ``mean``, ``min``, ``max`` and ``count`` of each source, variant and metric.
    """
    return [found for source in summary.index.unique("source") if (found := _of(source, summary.loc[source]))]


def _of(source: str, own: pandas.DataFrame) -> Verdict | None:
    by_metric = own.swaplevel()
    if "accuracy" not in by_metric.index:
        return None
    accuracy = by_metric.loc["accuracy"].sort_values("mean", ascending=False, kind="stable")
    best = accuracy.iloc[0]
    accurate = tuple(str(name) for name in accuracy.index[accuracy["max"] >= best["min"]])
    first = f"{source}: {accurate[0]} is the most accurate, with {best['mean']:.1%}"
    if len(accurate) > 1:
        others = f"the ranges of {', '.join(accurate[1:])} overlap with it" if best["count"] > 1 else "others equal it"
        first += f"; {others}"
    if "calls" not in by_metric.index:
        return Verdict(source, accurate, (), f"{first}.")
    calls = by_metric.loc["calls"].reindex(accurate).dropna().sort_values("mean", kind="stable")
    if calls.empty:
        return Verdict(source, accurate, (), f"{first}.")
    rounded = calls["mean"].round(2)
    fewest, most = rounded.min(), rounded.max()
    thrifty = tuple(str(name) for name in rounded.index[rounded == fewest])
    if len(calls) == 1:
        second = f"It makes {fewest:.2f} calls per answer"
    elif fewest == most:
        second = f"All of these make {fewest:.2f} calls per answer"
    else:
        who = f"{' and '.join(thrifty)} {'makes' if len(thrifty) == 1 else 'make'}"
        second = f"Of these, {who} the fewest calls, {fewest:.2f} per answer; the most is {most:.2f}"
    return Verdict(source, accurate, thrifty if fewest < most else (), f"{first}. {second}.")
