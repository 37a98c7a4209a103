"""The results of verifiers: ``results.jsonl`` of ``vf-eval``.

Its ``state_to_output`` (``verifiers/utils/save_utils.py``) writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.dumps.call_count import call_count
from verl_hdpo.evaluation.dumps.correctness import outcome_of, telling
from verl_hdpo.evaluation.dumps.dialogue import prompt_turns, response_turns
from verl_hdpo.evaluation.dumps.finite import finite
from verl_hdpo.evaluation.dumps.lines import json_lines
from verl_hdpo.evaluation.dumps.messages import spoken
from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.runs.json_files import Line

_OWN = {"prompt", "completion", "answer", "reward", "error", "task", "example_id", "id", "metrics", "tool_defs"}
CALLS = "total_tool_calls"
"""Metric of verifiers' tool environments."""


def matches(path: Path, first: Mapping[str, Any]) -> bool:
    """Whether ``first`` is a rollout of verifiers."""
    return {"prompt", "completion", "reward"} <= first.keys() and ("example_id" in first or "id" in first)


def read(path: Path, name: str) -> Iterator[Rollout]:
    """The rollouts; those of one example and task are a group.

    A rollout is right if the metric that speaks of correctness is above 0.5, or the reward where no single one does.
    One with an error is lost.
    """
    numbers: dict[str, int] = {}
    for line in json_lines(path):
        yield _rollout(path, name, line, numbers)


def _rollout(path: Path, name: str, line: Line, numbers: dict[str, int]) -> Rollout:
    row = line.row
    told = {**{key: value for key, value in row.items() if key not in _OWN}, **(row.get("metrics") or {})}
    source, example = str(row.get("task") or ""), row.get("example_id", row.get("id"))
    group = f"{name}:{source}/{example}" if source else f"{name}:{example}"
    numbers[group] = numbers.get(group, -1) + 1
    turns = spoken(row.get("completion"), response_turns)
    judge = telling(key for key, value in told.items() if finite(value) is not None or value is None)
    verdict = finite(told[judge]) if judge else finite(row["reward"])
    error = _error(row.get("error"))
    reported = call_count(told.get(CALLS), f"{path}, line {line.number}, {CALLS}")
    return Rollout(
        id=f"{name}:{line.number}",
        phase="eval",
        source=source,
        step=None,
        group=group,
        number=numbers[group],
        prompt=spoken(row.get("prompt"), prompt_turns),
        turns=turns,
        reference=str(row.get("answer") or ""),
        outcome="lost" if error else outcome_of(verdict),
        accuracy=verdict,
        reward=finite(row["reward"]),
        verdict=judge or "reward",
        lost=error,
        calls=sum(len(turn.calls) for turn in turns) if reported is None else reported,
        counted="text" if reported is None else "report",
        file=str(path),
        extras=told,
    )


def _error(found: Any) -> str:
    """Newer versions write an object, older ones a text."""
    if isinstance(found, Mapping):
        return str(found.get("error_chain_repr") or found.get("error") or "error")
    return str(found) if found else ""
