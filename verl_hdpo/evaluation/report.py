"""The figures of an evaluation as text, as JSON and as a picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from verl_hdpo.evaluation.estimate import Estimate
from verl_hdpo.evaluation.logged import log_report
from verl_hdpo.evaluation.record import Record
from verl_hdpo.evaluation.request import Request
from verl_hdpo.evaluation.side_by_side import Difference, joined, side_by_side
from verl_hdpo.evaluation.tool_use import NO_RATES, TITLES, per_source
from verl_hdpo.runs.log_to import LoggedReport
from verl_hdpo.runs.palette import colours
from verl_hdpo.runs.terminal import json_text, say, show_json, show_table

Figures = Mapping[str, Mapping[str, Estimate]]
"""Figures by data source, of one model."""

Differences = Mapping[str, Mapping[str, Difference]]

DRAWN = ("tool_use_rate", "accuracy", "accuracy_without", "accuracy_forced", "needless", "missed")
INTERVALS = "95 % intervals: Wilson's for shares, else a bootstrap over questions"


def write_report(records: Mapping[str, Sequence[Record]], request: Request) -> None:
    """Write ``figures.json``, ``figures.png`` and a CSV per pair of models; print the figures.

    Args:
        records: by the models' labels.
    """
    out, seed = request.out, request.seed
    models = {label: per_source(found, seed) for label, found in records.items()}
    changes = {}
    for first, second in pairwise(records):
        pair = f"{first} -> {second}"
        changes[pair] = side_by_side(records[first], records[second], seed)
        write_pairs(out / f"{first}-{second}.csv".replace("/", "_"), records[first], records[second])
    figures, picture = out / "figures.json", out / "figures.png"
    facts = {"arms": request.arms, "rollouts": request.rollouts, "without": request.without, "seed": seed}
    content = {**facts, "models": models, "differences": changes}
    figures.write_text(json_text(content))
    draw(models, picture)
    log_report(request.log_to, "eval", out.name, logged(models, picture))
    if request.as_json:
        show_json(content)
        return
    print_figures(models)
    for pair, found in changes.items():
        print_differences(pair, found)
    say(f"\nFigures: {figures}, {picture}; every rollout: records.jsonl beside them")


def logged(models: Mapping[str, Figures], picture: Path) -> LoggedReport:
    """The figures, for a logger."""
    rows = [
        {"model": label, "source": source, "figure": name, **vars(found)}
        for label, figures in models.items()
        for source, of_source in figures.items()
        for name, found in of_source.items()
    ]
    numbers = {f"{row['model']}/{row['source']}/{row['figure']}": row["value"] for row in rows}
    return LoggedReport(numbers, {"figures": rows}, {"figures": picture})


def print_figures(models: Mapping[str, Figures]) -> None:
    """The figures of each model beside each other, a table per data source."""
    for source in _sources(models.values()):
        rows = [
            [TITLES[name], *(cell(name, figures.get(source, {}).get(name)) for figures in models.values())]
            for name in TITLES
        ]
        say("")
        show_table([source, *models], [row for row in rows if any(row[1:])])
    say(f"\n{INTERVALS}")


def write_pairs(path: Path, first: Sequence[Record], second: Sequence[Record]) -> None:
    """The answers of two models side by side, as a CSV."""
    rows = list(joined(first, second))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0] if rows else ["question"])
        writer.writeheader()
        writer.writerows(rows)


def print_differences(pair: str, differences: Differences, titles: Mapping[str, str] = TITLES) -> None:
    """What changed from one model to the other, on the same questions."""
    rows = [
        [source, titles[name], cell(name, found, signed=True), str(found.more), str(found.fewer), str(found.questions)]
        for source, of_source in differences.items()
        for name, found in of_source.items()
        if found.questions
    ]
    say("")
    heads = [pair, "second less first", "difference", "more on", "less on", "questions"]
    show_table(heads, rows, left=heads[1:2])


def draw(models: Mapping[str, Figures], path: Path) -> None:
    """The rates of each model with their intervals, a panel per data source."""
    sources = _sources(models.values())
    size = (4.2 * len(sources) + 2, 0.8 + 0.5 * len(DRAWN))
    figure, panels = pyplot.subplots(1, len(sources), figsize=size, squeeze=False, sharey=True, layout="constrained")
    for panel, source in zip(panels[0], sources, strict=True):
        palette = colours(models)
        for number, (label, figures) in enumerate(models.items()):
            offset = 0.18 * (number - (len(models) - 1) / 2)
            found = [(i, figures[source][name]) for i, name in enumerate(DRAWN) if name in figures.get(source, {})]
            values = [e.value for _, e in found]
            errors = [[e.value - e.low for _, e in found], [e.high - e.value for _, e in found]]
            panel.errorbar(
                values,
                [i + offset for i, _ in found],
                xerr=errors,
                fmt="o",
                capsize=3,
                label=label,
                color=palette[label],
            )
        panel.set(title=source, xlim=(-0.03, 1.03))
        panel.set_yticks(range(len(DRAWN)), [TITLES[name] for name in DRAWN])
        panel.grid(axis="x", alpha=0.3)
    panels[0][0].invert_yaxis()
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(models))
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _sources(models: Any) -> list[str]:
    return list(dict.fromkeys(source for figures in models for source in figures))


def cell(name: str, estimate: Estimate | None, signed: bool = False) -> str:
    """``estimate`` of the figure ``name`` with its interval."""
    if estimate is None:
        return ""
    if not estimate.questions:
        return "not measured"
    scale, digits, unit = (1, 2, "") if name == "calls" else (100, 1, " %")
    sign = "+" if signed or (name in NO_RATES and name != "calls") else ""
    value, low, high = (f"{scale * x:{sign}.{digits}f}" for x in (estimate.value, estimate.low, estimate.high))
    return f"{value}{unit}" + ("" if math.isnan(estimate.low) else f" ({low} to {high})")
