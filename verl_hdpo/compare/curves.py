"""What the runs of a comparison logged, as one long table.

Columns: ``variant``, ``seed``, ``step``, ``phase`` (``train`` or ``validation``), ``source`` (``data_source``, or
``all``), ``metric``, ``value``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pandas

from verl_hdpo.compare.plan import PlannedRun

COLUMNS = ["variant", "seed", "step", "phase", "source", "metric", "value"]
ALL = "all"
"""The source that stands for all of them; validation has none, being logged per source."""

METRICS = {
    "tool_use_rate": "tool_use_rate",
    "accuracy": "accuracy",
    "accuracy_given_tool": "accuracy_given_tool",
    "accuracy_given_no_tool": "accuracy_given_no_tool",
    "tool_calls/mean": "calls",
    "unknown_rate": "unknown_rate",
    "tool/sign_errors": "sign_errors",
}
"""End of verl's name -> name in the table."""

_NAME = re.compile(rf"(val-)?hdpo/(?:(.+)/)?({'|'.join(METRICS)})")


class CurvesError(RuntimeError):
    """A run that logged nothing of tool use; the message says what to look at."""


def table(runs: Iterable[PlannedRun]) -> pandas.DataFrame:
    """The metrics of ``runs``, and the seconds that verl reports for each step.

    Raises:
        CurvesError: a run without ``hdpo/`` metrics.
    """
    rows = []
    for run in runs:
        own = [{"variant": run.variant.label, "seed": run.seed, **row} for row in _rows(_by_step(run.logged()))]
        if not any(row["metric"] == "tool_use_rate" for row in own):
            raise CurvesError(f"{run.folder}: no hdpo/ metrics were logged; its log is {run.log}")
        rows += own
    return pandas.DataFrame(rows, columns=COLUMNS)


def at_end(curves: pandas.DataFrame) -> pandas.DataFrame:
    """Where each run ended: one row per variant, seed, source and metric.

    The validation after the last step, if all runs have one; else the mean over the last tenth of the training
    steps. The column ``phase`` says which.
    """
    run, keys = ["variant", "seed"], ["variant", "seed", "source", "metric"]
    measured = curves[curves.metric != "step_seconds"]
    last = measured.groupby(run).step.transform("max")
    validated = measured[(measured.phase == "validation") & (measured.step == last) & (last > 0)]
    if len(validated[run].drop_duplicates()) == len(measured[run].drop_duplicates()):
        return validated.drop(columns="step").reset_index(drop=True)
    train = measured[measured.phase == "train"]
    first = 0.9 * train.groupby(run).step.transform("max")
    return train[train.step > first].groupby(keys, sort=False).value.mean().reset_index().assign(phase="train")


def before(curves: pandas.DataFrame) -> pandas.DataFrame:
    """The validation before training, in the form of :func:`at_end`; empty if there was none."""
    return curves[(curves.phase == "validation") & (curves.step == 0)].drop(columns="step").reset_index(drop=True)


def _by_step(logged: Iterable[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Metrics by step; of what a resumed run did again, the later stands.

    A run that resumes at a step may begin with a validation, which verl logs under that step, and alone.
    """
    steps: dict[int, dict[str, Any]] = {}
    for row in logged:
        steps.setdefault(int(row["step"]), {}).update(row["data"])
    return dict(sorted(steps.items()))


def _rows(steps: dict[int, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step, metrics in steps.items():
        for name, value in metrics.items():
            if match := _NAME.fullmatch(name):
                phase = "validation" if match[1] else "train"
                source, metric = match[2] or ALL, METRICS[match[3]]
            elif name == "timing_s/step":
                phase, source, metric = "train", ALL, "step_seconds"
            else:
                continue
            yield {"step": step, "phase": phase, "source": source, "metric": metric, "value": float(value)}
