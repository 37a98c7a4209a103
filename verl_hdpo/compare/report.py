"""The report of a comparison: one HTML file that holds all of it, the pictures as PNG, and the table as CSV."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas

from verl_hdpo.compare.curves import at_end, before, table
from verl_hdpo.compare.plan import PlannedRun
from verl_hdpo.compare.plots import draw
from verl_hdpo.compare.verdict import Verdict, verdicts
from verl_hdpo.runs import cpu_settings
from verl_hdpo.runs.log_to import LoggedReport
from verl_hdpo.runs.palette import colours
from verl_hdpo.runs.terminal import say, show_table
from verl_hdpo.settings.algorithms import ALGORITHMS

BEFORE = "before training"
COLUMNS = {"accuracy": "accuracy, %", "tool_use_rate": "tool use, %", "calls": "calls per answer"}

ASSETS = files("verl_hdpo.compare") / "assets"


def write_report(
    planned: Sequence[PlannedRun], out: Path, title: str = "Comparison", notes: Sequence[str] = ()
) -> Path:
    """Write ``report.html``, ``metrics.csv``, ``summary.csv`` and the pictures into ``out``, of the runs that ended.

    Raises:
        CurvesError: a run without ``hdpo/`` metrics.
    """
    runs = [run for run in planned if run.state == "finished"]
    curves, facts = table(runs), [run.facts() for run in runs]
    ended, started = at_end(curves), before(curves)
    curves.to_csv(out / "metrics.csv", index=False)
    numbers = _summary(ended)
    numbers.to_csv(out / "summary.csv")
    found = verdicts(numbers)
    validated = (ended.phase == "validation").all()
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_asset("html"))
    text = page.render(
        title=title,
        finished=len(runs),
        planned=len(planned),
        notes=[*notes, *_unknown_trained_on(runs, curves)],
        where="The last validation" if validated else "The last tenth of the training steps",
        heads=["data source", "algorithm", "seeds", *COLUMNS.values()],
        rows=_marked(_rows(ended, list(curves.variant.unique()), started), found),
        verdicts=found,
        colours=colours([*curves.variant.unique(), BEFORE]),
        style=_asset("css"),
        script=_asset("js"),
        pictures=draw(curves, out),
        made_with=sorted({", ".join(f"{k} {v}" for k, v in f["made_with"].items()) for f in facts if "made_with" in f}),
        on_cpu=any(run.cpu for run in runs),
        cpu_settings=cpu_settings.__name__,
        commands={run.label: shlex.join(["python", "-m", "verl.trainer.main_ppo", *run.arguments]) for run in runs},
    )
    report = out / "report.html"
    report.write_text(text)
    return report


def _unknown_trained_on(runs: Sequence[PlannedRun], curves: pandas.DataFrame) -> Iterator[str]:
    """What sets verl's own estimators apart where outcomes are not known; ours leave those rollouts out."""
    met = curves[(curves.metric == "unknown_rate") & (curves.phase == "train") & (curves.value > 0)]
    for variant in {run.variant: None for run in runs}:
        if variant.algorithm not in ALGORITHMS and (met.variant == variant.label).any():
            yield f"{variant.label} trained on rollouts of unknown outcome too, with the reward that they came with."


def summary(planned: Sequence[PlannedRun]) -> list[dict]:
    """The rows of ``summary.csv``: where the runs that finished ended."""
    ended = at_end(table(run for run in planned if run.state == "finished"))
    return _summary(ended).reset_index().to_dict("records")


def logged(planned: Sequence[PlannedRun], out: Path) -> LoggedReport:
    """The summary and the pictures, for a logger."""
    rows = summary(planned)
    numbers = {f"{row['source']}/{row['variant']}/{row['metric']}": row["mean"] for row in rows}
    return LoggedReport(numbers, {"summary": rows}, {path.stem: path for path in sorted(out.glob("*.png"))})


def print_summary(planned: Sequence[PlannedRun]) -> None:
    """The table of the report."""
    curves = table(run for run in planned if run.state == "finished")
    rows = _rows(at_end(curves), list(curves.variant.unique()), before(curves))
    heads = ["data source", "algorithm", "seeds", *COLUMNS.values()]
    for verdict in verdicts(_summary(at_end(curves))):
        say(verdict.words, "bold")
    say("")
    cells = [
        [row["source"], row["variant"], str(row["seeds"]), *(cell["text"] for cell in row["cells"])] for row in rows
    ]
    show_table(heads, cells, left=heads[1:2])


def _summary(ended: pandas.DataFrame) -> pandas.DataFrame:
    return ended.groupby(["source", "variant", "metric"], sort=False).value.agg(["mean", "min", "max", "count"])


def _rows(ended: pandas.DataFrame, variants: Sequence[str], started: pandas.DataFrame) -> list[dict]:
    rows = []
    for source in sorted(ended.source.unique()):
        own = started[started.source == source]
        if len(own):
            rows.append({"source": source, "variant": BEFORE, "seeds": own.seed.nunique(),
                         "cells": _cells(own)})  # fmt: skip
        for variant in variants:
            own = ended[(ended.source == source) & (ended.variant == variant)]
            if len(own):
                rows.append({"source": source, "variant": variant, "seeds": own.seed.nunique(), "cells": _cells(own)})
    return rows


def _cells(own: pandas.DataFrame) -> list[dict[str, Any]]:
    """Of each column what to show, what to sort by, and its metric."""
    cells = []
    for metric, title in COLUMNS.items():
        values = own[own.metric == metric].value * (100 if title.endswith("%") else 1)
        digits = 1 if title.endswith("%") else 2
        one = f"{values.mean():.{digits}f}"
        several = f"{one} ({values.min():.{digits}f} to {values.max():.{digits}f})"
        text = "-" if values.empty else several if own.seed.nunique() > 1 else one
        cells.append({"metric": metric, "text": text, "value": "" if values.empty else values.mean(), "best": False})
    return cells


def _marked(rows: list[dict], found: Sequence[Verdict]) -> list[dict]:
    """The rows with their best cells marked."""
    by_source = {verdict.source: verdict for verdict in found}
    for row in rows:
        if verdict := by_source.get(row["source"]):
            best = {"accuracy": verdict.accurate, "calls": verdict.thrifty}
            for cell in row["cells"]:
                cell["best"] = row["variant"] in best.get(cell["metric"], ())
    return rows


def _asset(kind: str) -> str:
    return (ASSETS / f"report.{kind}").read_text(encoding="utf-8")
