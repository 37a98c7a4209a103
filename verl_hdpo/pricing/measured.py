"""How often a run's model calls and how often it is right, per data source, from what the run wrote."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALL = "all"
LAST = 10
"""Steps, the last ones, that a case is taken over."""

_METRIC = re.compile(r"hdpo/(?:(.+)/)?(tool_use_rate|accuracy_given_tool|accuracy_given_no_tool)")


class MeasureError(ValueError):
    """A file that tells nothing of tool use; the message says what was found and what to do."""


@dataclass(frozen=True)
class Case:
    """The rollouts of one data source.

    Attributes:
        right: p1, share right with a call; None where no rollout called.
        direct: p0, share right without one; None where all called.
        use: u, share of rollouts with a call.
        size: n, rollouts of a prompt.
    """

    source: str
    right: float | None
    direct: float | None
    use: float
    size: int

    @property
    def gain(self) -> float | None:
        """p1 - p0, None where one of them is not known."""
        return None if self.right is None or self.direct is None else self.right - self.direct


def cases_of(path: Path, size: int) -> list[Case]:
    """The cases of a run over its last steps, a case per data source.

    Args:
        path: the file of verl's logger ``file``, or a rollout dump (``trainer.rollout_data_dir``): the folder, or one
            of its files. A dump knows no data source, so that all of it is one case.
        size: ``rollout.n``; a dump tells its own.

    Raises:
        MeasureError: nothing of tool use is in it.
    """
    files = sorted(path.glob("*.jsonl"), key=lambda file: (len(file.stem), file.stem)) if path.is_dir() else [path]
    lines = [line for file in files[-LAST:] for line in _lines(file)]
    cases = _of_metrics(lines, size) if any("data" in line for line in lines) else _of_rollouts(lines, path)
    if not cases:
        raise MeasureError(
            f"{path} has no hdpo/ metrics of a training step; set +algorithm.hdpo.observe=true to log them"
        )
    return cases


def _lines(file: Path) -> list[dict[str, Any]]:
    try:
        found = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    except ValueError as error:
        raise MeasureError(f"{file} is not lines of JSON: {error}") from None
    if not all(isinstance(line, dict) for line in found):
        raise MeasureError(f"{file} must hold one JSON object per line")
    return found


def _of_metrics(lines: Iterable[Mapping[str, Any]], size: int) -> list[Case]:
    """Means over steps, those of accuracy weighted by how many rollouts they stand for."""
    steps: dict[str, list[dict[str, float]]] = {}
    for line in lines:
        by_source: dict[str, dict[str, float]] = {}
        for name, value in line.get("data", {}).items():
            if match := _METRIC.fullmatch(name):
                by_source.setdefault(match[1] or ALL, {})[match[2]] = float(value)
        for source, values in by_source.items():
            steps.setdefault(source, []).append(values)
    if len(steps) > 1:
        steps.pop(ALL, None)
    cases = []
    for source, found in steps.items():
        last = found[-LAST:]
        uses = [values["tool_use_rate"] for values in last]
        right = _weighted([values.get("accuracy_given_tool") for values in last], uses)
        direct = _weighted([values.get("accuracy_given_no_tool") for values in last], [1 - use for use in uses])
        cases.append(Case(source, right, direct, sum(uses) / len(uses), size))
    return cases


def _weighted(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def _of_rollouts(lines: Sequence[Mapping[str, Any]], path: Path) -> list[Case]:
    if not lines or not all("acc" in line and "tool_calls" in line for line in lines):
        raise MeasureError(
            f"{path} is neither verl's file of metrics nor a rollout dump with acc and tool_calls in every line; "
            f"reward.reward_manager.name=hdpo reports both"
        )
    sizes = Counter(Counter((line.get("step"), line.get("input")) for line in lines).values())
    rows: dict[str, list[tuple[bool, bool]]] = {}
    for line in lines:
        if line.get("outcome_known", 1):
            source = str(line.get("data_source", ALL))
            rows.setdefault(source, []).append((line["tool_calls"] > 0, line["acc"] > 0.5))
    return [
        Case(
            source,
            _share([right for called, right in found if called]),
            _share([right for called, right in found if not called]),
            sum(called for called, _ in found) / len(found),
            sizes.most_common(1)[0][0],
        )
        for source, found in rows.items()
    ]


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None
