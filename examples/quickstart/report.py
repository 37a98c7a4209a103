"""What a person sees of the run while it goes on: a line per step; and the picture of its curves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from questions import KINDS

from verl_hdpo.runs.palette import colours

LABELS = {"not_needed": "needs no tool", "needed": "needs the tool"}


def validation(metrics: dict[str, Any]) -> dict[str, float] | None:
    """Tool-use rate and accuracy of each kind in one logged step of verl; None if it holds no validation."""
    found = {}
    for kind in KINDS:
        found[f"tool_rate_{kind}"] = metrics.get(f"val-aux/{kind}/tool_used/mean@1")
        found[f"accuracy_{kind}"] = metrics.get(f"val-core/{kind}/acc/mean@1")
    if all(value is None for value in found.values()):
        return None
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise KeyError(f"verl's validation lacks {missing}; logged: {sorted(k for k in metrics if k[:3] == 'val')}")
    return found


def rollouts(metrics: dict[str, Any]) -> dict[str, float]:
    """The same four numbers over the rollouts of one training step; a kind that was not drawn is absent."""
    found = {}
    for kind in KINDS:
        for ours, theirs in (("tool_rate", "tool_use_rate"), ("accuracy", "accuracy")):
            value = metrics.get(f"hdpo/{kind}/{theirs}")
            if value is not None:
                found[f"{ours}_{kind}"] = value
    return found


class Progress:
    """Collects what verl logs and prints a line for each step."""

    def __init__(self, steps: int):
        self.steps = steps
        self.before: dict[str, float] | None = None
        self.after: dict[str, float] | None = None
        self.curves: list[dict[str, float]] = []
        self._first_step_at: float | None = None
        self._started = time.monotonic()

    def __call__(self, step: int, metrics: dict[str, Any]) -> None:
        now = time.monotonic()
        measured = validation(metrics)
        if step == 0:
            self.before = measured
            print(f"{now - self._started:5.0f} s  before training: {_line(measured or {})}", flush=True)
            self._first_step_at = now
            return
        if step == self.steps:
            self.after = measured
        row = rollouts(metrics)
        self.curves.append({"step": step, "seconds": metrics.get("timing_s/step", float("nan")), **row})
        began = self._first_step_at if self._first_step_at is not None else self._started
        left = (now - began) / step * (self.steps - step)
        print(f"{now - self._started:5.0f} s  step {step:3d}/{self.steps}: {_line(row)}, ETA {left:.0f} s", flush=True)


def _line(row: dict[str, float]) -> str:
    def percent(name: str) -> str:
        return f"{100 * row[name]:5.1f} %" if name in row else "    - %"

    return ", ".join(
        f"{LABELS[kind]}: tool use {percent(f'tool_rate_{kind}')} accuracy {percent(f'accuracy_{kind}')}"
        for kind in KINDS
    )


def plot(path: Path, algo: str, progress: Progress, beside: Mapping[str, Any] | None = None) -> None:
    """Tool use and accuracy over the steps: training rollouts as lines, validation as marks, another run dashed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), sharex=True)
    for panel, what, title in zip(panels, ("tool_rate", "accuracy"), ("tool-use rate", "accuracy"), strict=True):
        for kind, colour in zip(KINDS, colours(KINDS).values(), strict=True):
            points = [(row["step"], row[f"{what}_{kind}"]) for row in progress.curves if f"{what}_{kind}" in row]
            if points:
                panel.plot(*zip(*points, strict=True), color=colour, label=LABELS[kind])
            if beside:
                name, ends = f"{what}_{kind}", {0: beside["before"], progress.steps: beside["after"]}
                points = [(step, row[name]) for step, row in ends.items()]
                points[1:1] = [(row["step"], row[name]) for row in beside["curves"] if name in row]
                label = f"{LABELS[kind]}; {beside['what']}"
                panel.plot(*zip(*points, strict=True), "--" if beside["curves"] else "s", color=colour, mfc="none",
                           alpha=0.7, label=label)  # fmt: skip
            for step, row in ((0, progress.before), (progress.steps, progress.after)):
                if row is not None:
                    panel.plot(step, row[f"{what}_{kind}"], "o", color=colour)
        panel.set(title=title, xlabel="step", ylim=(-0.03, 1.03))
        panel.grid(alpha=0.3)
    panels[0].legend()
    figure.suptitle(f"{algo}: training rollouts (lines), validation (marks)")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
