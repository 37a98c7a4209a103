"""MetaTool Task 1: does this request need a tool? Asked in words, as published, or with tools to call."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.benchmarks.question import SILENT, BenchmarkError, Question, tool_of
from verl_hdpo.runs.json_files import json_value

SHOULD_CALL = {"positive": True, "negative": False}
OFFERED = 5
"""Tools of a row: its own, where it has one, and others drawn for it."""
PARAMETERS = {
    "type": "object",
    "properties": {"request": {"type": "string", "description": "What the tool is to do, in words."}},
    "required": ["request"],
}
"""MetaTool describes its tools, and says nothing of their parameters."""


def read_words(files: Mapping[str, Path], seed: int) -> list[Question]:
    """The prompts as published: they ask for a yes or a no."""
    rows = enumerate(_rows(files["task"]))
    return [_question(number, row, row["thought_prompt"], []) for number, row in rows]


def read_tools(files: Mapping[str, Path], seed: int) -> list[Question]:
    """The bare requests, each with ``OFFERED`` tools; which others go with a row is the seed's choice."""
    described = json_value(files["tools"], BenchmarkError)
    found = []
    for number, row in enumerate(_rows(files["task"])):
        chance = random.Random(f"{seed}/{number}")
        own = [row["tool"]] if SHOULD_CALL[row["label"]] else []
        others = chance.sample([name for name in described if name not in own], OFFERED - len(own))
        names = [*own, *others]
        chance.shuffle(names)
        try:
            tools = [{"name": name, "description": described[name], "parameters": PARAMETERS} for name in names]
        except KeyError as error:
            raise BenchmarkError(f"{files['tools']}: no description of the tool {error} of row {number}") from None
        found.append(_question(number, row, row["query"], tools))
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = json_value(path, BenchmarkError)
    if other := next((row["label"] for row in rows if row["label"] not in SHOULD_CALL), None):
        raise BenchmarkError(f"{path}: unknown label {other!r}; known: {', '.join(SHOULD_CALL)}")
    return rows


def _question(number: int, row: Mapping[str, Any], text: str, tools: list[dict[str, Any]]) -> Question:
    should_call = SHOULD_CALL[row["label"]]
    return Question(
        number=number,
        source="task 1",
        messages=[{"role": "user", "content": text}],
        tools=[tool_of(tool) for tool in tools],
        should_call=should_call,
        wanted=("call",) if should_call else SILENT,
    )
