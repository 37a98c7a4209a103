"""The report of a comparison: one HTML file that holds all of it, the pictures as PNG, and the table as CSV."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import jinja2
import pandas

from verl_hdpo.compare.curves import at_end, before, table
from verl_hdpo.compare.plan import PlannedRun
from verl_hdpo.compare.plots import draw
from verl_hdpo.runs import cpu_settings
from verl_hdpo.runs.log_to import LoggedReport
from verl_hdpo.runs.terminal import show_table
from verl_hdpo.settings.algorithms import ALGORITHMS

COLUMNS = {"accuracy": "accuracy, %", "tool_use_rate": "tool use, %", "calls": "calls per answer"}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; }
figure { margin: 2rem 0; }
figcaption { color: #555; }
pre { white-space: pre-wrap; background: #f6f6f6; padding: .7rem; }
</style>
<h1>{{ title }}</h1>
<p>{{ finished }} of {{ planned }} runs.{% for note in notes %} {{ note }}{% endfor %}</p>
<h2>At the end</h2>
<p>{{ where }}. Mean over seeds, and least to greatest.</p>
<table>
<tr><th>data source</th><th>algorithm</th><th>seeds</th>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}<tr><td>{{ row.source }}</td><td>{{ row.variant }}</td><td>{{ row.seeds }}</td>
{% for cell in row.cells %}<td class="number">{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% for caption, image in pictures.items() %}
<figure><img alt="{{ caption }}" src="data:image/png;base64,{{ image }}"><figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
<h2>How each run was made</h2>
{% for made in made_with %}<p>{{ made }}.</p>
{% endfor %}
{% if on_cpu %}<p>On the CPU: before these the overrides of {{ cpu_settings }}, and its environment.</p>{% endif %}
{% for run, command in commands.items() %}
<details><summary>{{ run }}</summary><pre>{{ command }}</pre></details>
{% endfor %}
</html>
"""


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
    _summary(ended).to_csv(out / "summary.csv")
    pictures = {caption: base64.b64encode(path.read_bytes()).decode() for caption, path in draw(curves, out).items()}
    validated = (ended.phase == "validation").all()
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_PAGE)
    text = page.render(
        title=title,
        finished=len(runs),
        planned=len(planned),
        notes=[*notes, *_unknown_trained_on(runs, curves)],
        where="The last validation" if validated else "The last tenth of the training steps",
        columns=list(COLUMNS.values()),
        rows=_rows(ended, [variant for variant in curves.variant.unique()], started),
        pictures=pictures,
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
    show_table(
        heads, [[row["source"], row["variant"], str(row["seeds"]), *row["cells"]] for row in rows], left=heads[1:2]
    )


def _summary(ended: pandas.DataFrame) -> pandas.DataFrame:
    return ended.groupby(["source", "variant", "metric"], sort=False).value.agg(["mean", "min", "max", "count"])


def _rows(ended: pandas.DataFrame, variants: Sequence[str], started: pandas.DataFrame) -> list[dict]:
    rows = []
    for source in sorted(ended.source.unique()):
        own = started[started.source == source]
        if len(own):
            rows.append({"source": source, "variant": "before training", "seeds": own.seed.nunique(),
                         "cells": _cells(own)})  # fmt: skip
        for variant in variants:
            own = ended[(ended.source == source) & (ended.variant == variant)]
            if len(own):
                rows.append({"source": source, "variant": variant, "seeds": own.seed.nunique(), "cells": _cells(own)})
    return rows


def _cells(own: pandas.DataFrame) -> list[str]:
    cells = []
    for metric, title in COLUMNS.items():
        values = own[own.metric == metric].value * (100 if title.endswith("%") else 1)
        digits = 1 if title.endswith("%") else 2
        one = f"{values.mean():.{digits}f}"
        several = f"{one} ({values.min():.{digits}f} to {values.max():.{digits}f})"
        cells.append("-" if values.empty else several if own.seed.nunique() > 1 else one)
    return cells
