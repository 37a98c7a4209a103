"""When2Call: call a tool, ask for what is missing, or say that it cannot be done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from verl_hdpo.evaluation.benchmarks.question import BenchmarkError, Decision, Question, json_rows, tool_of

DECISIONS: dict[str, Decision] = {
    "tool_call": "call",
    "request_for_info": "ask",
    "cannot_answer": "refuse",
    "direct": "answer",
}
"""The benchmark's word -> ours."""


def read(files: Mapping[str, Path], seed: int) -> list[Question]:
    """The rows, with the right decision as their part; those without tools are a part of their own."""
    found: list[Question] = []
    for row in json_rows(files["test"]):
        decision = _decision(row["correct_answer"], files["test"])
        found.append(
            Question(
                number=len(found),
                source=decision if row["tools"] else f"{decision}, no tools",
                messages=[{"role": "user", "content": row["question"]}],
                tools=[tool_of(json.loads(text)) for text in row["tools"]],
                should_call=decision == "call",
                wanted=(decision,),
            )
        )
    return found


def labelled_texts(files: Mapping[str, Path]) -> list[tuple[str, Decision]]:
    """The sample answers in words that come with each row, and what each of them does."""
    path = files["test"]
    return [
        (text, _decision(name, path))
        for row in json_rows(path)
        for name, text in row["answers"].items()
        if name != "tool_call" and text
    ]


def _decision(name: str, path: Path) -> Decision:
    if name not in DECISIONS:
        raise BenchmarkError(f"{path}: unknown answer class {name!r}; known: {', '.join(DECISIONS)}")
    return DECISIONS[name]
