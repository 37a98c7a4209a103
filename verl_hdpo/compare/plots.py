"""The pictures of a comparison, each a function from the table of ``curves`` to a PNG."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib
import pandas

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verl_hdpo.compare.curves import ALL, at_end
from verl_hdpo.runs.palette import colours

matplotlib.rcParams["text.parse_math"] = False  # labels are the user's, and a $ in them is a $
RATES = {"accuracy": "accuracy", "tool_use_rate": "tool-use rate"}
DPI = 120
LABEL_INCHES, HANDLE_INCHES = 0.085, 0.7
"""About what a character of the legend takes, and the line beside a label."""


def draw(curves: pandas.DataFrame, folder: Path) -> dict[str, str]:
    """All pictures as SVG, by what is to be said below them; each is also left in ``folder`` as a PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    many = curves.groupby("variant").seed.nunique().max() > 1
    spread = "Line: mean over seeds; band: least to greatest." if many else "One seed of each."
    ended = at_end(curves)
    where = "the last validation" if (ended.phase == "validation").all() else "the last tenth of the training steps"
    pictures = {
        "curves": (over_steps, f"Rollouts of training per data source. {spread} Marks: validation."),
        "tradeoff": (accuracy_against_calls, f"Accuracy against calls per answer, {where}. Dots: seeds; large: mean."),
        "time": (wall_time, "Wall time of a run: the sum of its steps as verl reports them. Dots: seeds."),
    }
    drawn = {}
    for name, (picture, caption) in pictures.items():
        figure = picture(curves)
        figure.savefig(folder / f"{name}.png", dpi=DPI)
        drawn[caption] = _svg(figure, name)
        pyplot.close(figure)
    return drawn


def over_steps(curves: pandas.DataFrame) -> Figure:
    """Accuracy and tool-use rate over the steps, a column per data source."""
    sources = _sources(curves)
    figure, panels = _panels(len(RATES), len(sources), sharex=True)
    for row, (metric, title) in enumerate(RATES.items()):
        for column, source in enumerate(sources):
            panel = panels[row][column]
            chosen = curves[(curves.metric == metric) & (curves.source == source)]
            for variant, colour in _colours(curves).items():
                own = chosen[chosen.variant == variant]
                seeds = own[own.phase == "train"].groupby("step").value
                if seeds.ngroups:
                    steps = seeds.mean().index
                    panel.plot(steps, seeds.mean(), color=colour, label=variant)
                    panel.fill_between(steps, seeds.min(), seeds.max(), color=colour, alpha=0.15, linewidth=0)
                    _hover(panel, steps, seeds.mean(), (
                        f"{variant}, step {step}: {title} {mean:.1%} ({low:.1%} to {high:.1%})"
                        for step, mean, low, high in zip(steps, seeds.mean(), seeds.min(), seeds.max(), strict=True)
                    ))  # fmt: skip
                marks = own[own.phase == "validation"].groupby("step").value.mean()
                panel.plot(marks.index, marks, "o", color=colour, markersize=4, label=variant)
                told = (f"{variant}, validation at step {step}: {title} {mean:.1%}" for step, mean in marks.items())
                _hover(panel, marks.index, marks, told)
            panel.set(title=f"{title}, {source}", ylim=(-0.03, 1.03))
            panel.grid(alpha=0.3)
            if row == len(RATES) - 1:
                panel.set_xlabel("step")
    return _with_legend(figure)


def accuracy_against_calls(curves: pandas.DataFrame) -> Figure:
    """Where the runs ended: accuracy over calls per answer, a panel per data source."""
    ended = at_end(curves)
    sources = _sources(ended)
    figure, panels = _panels(1, len(sources))
    for panel, source in zip(panels[0], sources, strict=True):
        points = ended[ended.source == source].pivot_table(
            index=["variant", "seed"], columns="metric", values="value", sort=False
        )
        for variant, colour in _colours(curves).items():
            if variant not in points.index.get_level_values("variant"):
                continue
            own = points.loc[variant].reindex(columns=["calls", "accuracy"])
            panel.plot(own.calls, own.accuracy, "o", color=colour, markersize=4, alpha=0.6)
            seen = own.dropna()
            told = (f"{variant}, seed {seed}: accuracy {row.accuracy:.1%}, {row.calls:.2f} calls" for seed, row in
                    seen.iterrows())  # fmt: skip
            _hover(panel, seen.calls, seen.accuracy, told)
            panel.plot(own.calls.mean(), own.accuracy.mean(), "o", color=colour, markersize=10, label=variant)
        panel.set(title=source, xlabel="tool calls per answer", ylabel="accuracy")
        panel.grid(alpha=0.3)
    return _with_legend(figure)


def wall_time(curves: pandas.DataFrame) -> Figure:
    """Seconds of each run's steps."""
    seconds = curves[curves.metric == "step_seconds"].groupby(["variant", "seed"]).value.sum()
    colours = _colours(curves)
    figure, axes = pyplot.subplots(figsize=(7, 0.8 + 0.4 * len(colours)), layout="constrained")
    for variant, colour in colours.items():
        own = seconds.get(variant)
        if own is not None:
            axes.barh(variant, own.mean() / 60, color=colour, alpha=0.6)
            axes.plot(own / 60, [variant] * len(own), "o", color=colour, markersize=4)
            told = (f"{variant}, seed {seed}: {seconds / 60:.1f} minutes" for seed, seconds in own.items())
            _hover(axes, own / 60, [variant] * len(own), told)
    axes.invert_yaxis()
    axes.set(xlabel="minutes", xlim=(0, None))
    axes.grid(axis="x", alpha=0.3)
    return figure


def _sources(curves: pandas.DataFrame) -> list[str]:
    """The data sources; ``all`` only where there is nothing else."""
    found = [source for source in curves.source.unique() if source != ALL]
    return sorted(found) or [ALL]


def _hover(panel: Axes, x: Iterable[Any], y: Iterable[Any], texts: Iterable[str]) -> None:
    """Marks that are not seen, each with a text that the page shows where one is pointed at."""
    marks = panel.scatter(list(x), list(y), s=60, alpha=0.01, zorder=9)
    marks.set_urls([f"#{quote(text)}" for text in texts])


def _svg(figure: Figure, name: str) -> str:
    """The picture as an element of a page; its ids differ from those of others."""
    out = StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    return text[text.index("<svg") :]


def _colours(curves: pandas.DataFrame) -> dict[str, str]:
    return colours(curves.variant.unique())


def _panels(rows: int, columns: int, **kwargs) -> tuple[Figure, list[list[Axes]]]:
    size = (max(4.5 * columns, 6), 3.0 * rows + 0.6)
    return pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **kwargs)


def _with_legend(figure: Figure) -> Figure:
    """One for all panels; of a variant's line and marks the first stands for it, wherever it is."""
    handles: dict[str, Artist] = {}
    for panel in figure.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    wide = LABEL_INCHES * max(map(len, handles), default=0) + HANDLE_INCHES
    columns = max(1, min(len(handles), 4, int(figure.get_figwidth() / wide)))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns)
    return figure
