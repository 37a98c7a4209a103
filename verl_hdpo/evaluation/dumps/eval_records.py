"""The records of ``verl-hdpo eval``: ``OUT/<model>/records.jsonl``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.dumps.dialogue import message_turns, response_turns
from verl_hdpo.evaluation.dumps.lines import json_lines
from verl_hdpo.evaluation.dumps.rollout import Outcome, Rollout
from verl_hdpo.outcomes.ledger import ToolLedger

_RECORD = {"arm", "question", "rollout", "calls", "correct", "response"}


def matches(path: Path, first: Mapping[str, Any]) -> bool:
    """Whether ``first`` is the line that says what an evaluation was made of."""
    return path.name == "records.jsonl" and "key" in first and ("ban_calls" in first or "benchmark" in first)


def read(path: Path, name: str) -> Iterator[Rollout]:
    """The records of one model; one that was asked again is read as it came last.

    All arms of a question are one group: what was right without tools needed no call. Only rollouts that read other
    answers than their tools gave are a group of their own.

    Args:
        name: of the file, with which ids and groups begin.
    """
    found: dict[Any, Mapping[str, Any]] = {}
    for line in json_lines(path):
        if line.row.keys() >= _RECORD:
            found[line.row["arm"], line.row["question"], line.row["rollout"]] = line.row
    numbers: dict[int, int] = {}
    for (arm, question, rollout), row in found.items():
        number = numbers[question] = numbers.get(question, -1) + 1
        correct, verdict = row["correct"], str(row.get("verdict") or "")
        outcome: Outcome = "correct" if correct else "unknown" if correct is None else "wrong"
        yield Rollout(
            id=f"{name}:{arm}/{question}/{rollout}",
            phase="eval",
            source=str(row.get("source") or ""),
            step=None,
            group=f"{name}:{question}" + (f":{arm}" if arm == "counterfactual" else ""),
            number=number,
            prompt=message_turns(row.get("messages") or ()),
            turns=response_turns(str(row["response"])),
            reference=str(row.get("reference") or ""),
            outcome=outcome,
            accuracy=None if correct is None else float(correct),
            verdict=verdict,
            answer=row.get("answer"),
            calls=int(row["calls"]),
            counted="ledger" if row.get("ledger") else "report",
            ledger=ToolLedger.from_dict(row["ledger"]) if row.get("ledger") else None,
            file=str(path),
            extras={"arm": arm, "question": question, "model": path.parent.name},
        )
