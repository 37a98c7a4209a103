"""``Question``: a row of a benchmark, and the tools that go with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from verl_hdpo.runs.json_files import json_objects

Decision: TypeAlias = Literal["call", "ask", "refuse", "answer"]
"""What an answer does: call a tool, ask the user, say that it cannot be done, or answer."""

Tool: TypeAlias = dict[str, Any]
"""A tool as OpenAI's API takes it."""

_TYPES = {
    "dict": "object", "float": "number", "double": "number", "tuple": "array", "list": "array",
    "int": "integer", "str": "string", "bool": "boolean", "any": "string",
}  # fmt: skip
"""Python's words for types, which BFCL and When2Call use -> JSON Schema's."""


class BenchmarkError(ValueError):
    """Data of a benchmark that cannot be found or read; the message says what to do."""


@dataclass(frozen=True)
class Question:
    """What is asked, with which tools, and what the benchmark says is right.

    Attributes:
        number: of the row, over all files of the benchmark.
        source: part of the benchmark.
        messages: the dialogue so far.
        tools: those offered.
        should_call: whether a tool is to be called.
        wanted: the right decisions; more than one where the label says only that no tool is to be called.
    """

    number: int
    source: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Tool]
    should_call: bool
    wanted: tuple[Decision, ...]

    @property
    def names(self) -> set[str]:
        """Of the tools offered."""
        return {tool["function"]["name"] for tool in self.tools}

    @property
    def asked(self) -> str:
        """Fingerprint of the dialogue and the tools."""
        text = json.dumps([list(self.messages), list(self.tools)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


SILENT: tuple[Decision, ...] = ("ask", "refuse", "answer")
"""Right where all that is known is that no tool is to be called."""


def tool_of(function: Mapping[str, Any]) -> Tool:
    """A function of BFCL's or When2Call's as a tool of OpenAI's API, whose names have no dots."""
    parameters = _schema(function.get("parameters") or {})
    described = {
        "name": str(function["name"]).replace(".", "_"),
        "description": str(function.get("description") or ""),
        "parameters": {"properties": {}, **parameters, "type": "object"},
    }
    return {"type": "function", "function": described}


def _schema(schema: Any) -> Any:
    """``schema`` in JSON Schema's words for types. A parameter may itself be called ``type``."""
    if not isinstance(schema, dict):
        return schema
    found = dict(schema)
    if isinstance(kind := found.get("type", "string"), str):
        found["type"] = _TYPES.get(kind.lower(), kind.lower())
    if isinstance(found.get("properties"), dict):
        found["properties"] = {name: _schema(one) for name, one in found["properties"].items()}
    if "items" in found:
        found["items"] = _schema(found["items"])
    return found


def json_rows(path: Path) -> list[dict[str, Any]]:
    """The objects in a file with one on each line.

    Raises:
        BenchmarkError: a line that is not an object.
    """
    return [line.row for line in json_objects(path, BenchmarkError)]


def first_of_each(questions: Iterable[Question], limit: int) -> list[Question]:
    """The first ``limit`` (-1: all) of each part and label: of those that should call, and of those that should not."""
    seen: dict[tuple[str, bool], int] = {}
    chosen = []
    for question in questions:
        kind = question.source, question.should_call
        seen[kind] = seen.get(kind, 0) + 1
        if limit < 0 or seen[kind] <= limit:
            chosen.append(question)
    return chosen
