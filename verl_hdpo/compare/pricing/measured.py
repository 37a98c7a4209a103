"""How often a run's model calls and how often it is right, per data source, from what the run wrote."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.dumps.finite import finite
from verl_hdpo.evaluation.dumps.lines import json_lines
from verl_hdpo.evaluation.dumps.reader import read_rollouts
from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.evaluation.dumps.siblings import by_group

ALL = "all"
LAST = 10
"""Steps, the last ones that its source was in, that a case is taken over."""

GROUP_SIZE = "hdpo/group_size"
"""``rollout.n`` in metrics."""

_METRIC = re.compile(r"hdpo/(?:(.+)/)?(tool_use_rate|accuracy_given_tool|accuracy_given_no_tool)")


class MeasureError(ValueError):
    """A file that does not tell what a price depends on; the message says what was found and what to do."""


@dataclass(frozen=True)
class Case:
    """The rollouts of one data source.

    Attributes:
        right: p1, share right with a call; None where no rollout called.
        direct: p0, share right without one; None where all called.
        use: u, share of rollouts with a call.
        size: n, rollouts of a prompt; None where nothing tells it.
        answer_weight: what a right answer adds to the reward; None where nothing tells it.
    """

    source: str
    right: float | None
    direct: float | None
    use: float
    size: int | None = None
    answer_weight: float | None = None

    @property
    def gain(self) -> float | None:
        """p1 - p0, None where one of them is not known."""
        return None if self.right is None or self.direct is None else self.right - self.direct


def cases_of(path: Path) -> list[Case]:
    """The cases of a run over its last steps, a case per data source.

    Args:
        path: the file of verl's logger ``file``, or what ``read_rollouts`` reads, such as ``trainer.rollout_data_dir``.

    Raises:
        MeasureError, RolloutsError: nothing of tool use is in it.
    """
    first = next(json_lines(path), None) if path.is_file() else None
    if first is not None and "data" in first.row and "input" not in first.row:
        cases = _of_metrics(line.row for line in json_lines(path))
        found, advice = "no hdpo/ metrics of a training step", "set +algorithm.hdpo.observe=true to log them"
    else:
        cases = _of_rollouts(read_rollouts(path).rollouts)
        found, advice = "no training rollouts of known outcome", "name trainer.rollout_data_dir of a run"
    if not cases:
        raise MeasureError(f"{path} has {found}; {advice}")
    return cases


def _of_metrics(lines: Iterable[Mapping[str, Any]]) -> list[Case]:
    """Means over steps, those of accuracy weighted by how many rollouts they stand for; the size of the last step.

    A step that does not tell how often a source called is left out for that source.
    """
    steps: dict[str, list[dict[str, float]]] = {}
    size: int | None = None
    for line in lines:
        by_source: dict[str, dict[str, float]] = {}
        logged = line.get("data")
        if isinstance(logged, dict):
            size = int(finite(logged.get(GROUP_SIZE)) or 0) or size
        for name, value in logged.items() if isinstance(logged, dict) else ():
            share = finite(value)
            if share is not None and 0 <= share <= 1 and (match := _METRIC.fullmatch(name)):
                by_source.setdefault(match[1] or ALL, {})[match[2]] = share
        for source, values in by_source.items():
            if "tool_use_rate" in values:
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


def _of_rollouts(rollouts: Sequence[Rollout]) -> list[Case]:
    rows: dict[str, list[Rollout]] = {}
    for one in rollouts:
        if one.phase == "train" and one.calls is not None and one.known:
            rows.setdefault(one.source or ALL, []).append(one)
    return [case_of(source, _last(found)) for source, found in rows.items()]


def _last(rollouts: Sequence[Rollout]) -> list[Rollout]:
    steps = sorted({one.step for one in rollouts if one.step is not None})[-LAST:]
    return [one for one in rollouts if one.step is None or one.step in steps]


def case_of(source: str, rollouts: Sequence[Rollout]) -> Case:
    """The case of rollouts whose calls and outcomes are known; at least one."""
    shares: dict[bool, float | None] = {}
    for called in (True, False):
        right = [one.outcome == "correct" for one in rollouts if bool(one.calls) == called]
        shares[called] = sum(right) / len(right) if right else None
    sizes = Counter(len(group) for group in by_group(rollouts))
    use = sum(bool(one.calls) for one in rollouts) / len(rollouts)
    return Case(source, shares[True], shares[False], use, sizes.most_common(1)[0][0], answer_weight(rollouts))


def answer_weight(rollouts: Sequence[Rollout]) -> float | None:
    """mean r (correct) - mean r (wrong) of rollouts of known outcome; None where there is none to compare, or it is
    not over 0."""
    rewards = {
        outcome: [one.answer_reward for one in rollouts if one.outcome == outcome] for outcome in ("correct", "wrong")
    }
    if not all(rewards.values()):
        return None
    right, wrong = (sum(found) / len(found) for found in rewards.values())
    return right - wrong if right > wrong else None
