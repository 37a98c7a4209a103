"""Rows for a cold start, in the columns that verl's ``MultiTurnSFTDataset`` reads: messages, images, tools."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from verl_hdpo.evaluation.datasets.converted import Converted, bad
from verl_hdpo.evaluation.datasets.messages import NotMessages, read_messages
from verl_hdpo.evaluation.datasets.records import Record
from verl_hdpo.runs.row_images import RowProblem

MESSAGES = ("messages", "conversations", "conversation")
VIDEO = "<video>"


@dataclass(frozen=True)
class SftForm:
    """How trajectories become rows.

    Attributes:
        messages: column; empty: one of those that data sets usually have.
        image: column of the images; empty: ``images``.
        mend: write images again that verl would show otherwise than they look.
    """

    messages: str = ""
    image: str = ""
    mend: bool = False

    @property
    def named(self) -> Mapping[str, str]:
        return {"--messages": self.messages, "--image": self.image}

    def convert(self, record: Record) -> Converted:
        """The row of a trajectory."""
        row = record.row
        if not isinstance(row, Mapping):
            return bad(f"is {type(row).__name__}, not an object with columns", "write trajectories as objects")
        column = self.messages or next((name for name in MESSAGES if name in row), MESSAGES[0])
        if row.get(column) is None:
            found = f"has no chat under {column!r}; its columns are {', '.join(map(str, row))}"
            return bad(found, "name the column: --messages NAME")
        try:
            messages, images = read_messages(row[column])
            tools = _tools(row.get("tools"))
        except NotMessages as error:
            return bad(f"has a chat that {error}", 'write it as [{"role": "user", "content": "..."}, ...]')
        images = images or list(_listed(row.get(self.image or "images")))
        made: dict[str, Any] = {"messages": messages, "data_source": str(row.get("data_source") or record.file)}
        if tools:
            made["tools"] = tools
        return Converted.of(made, "messages", images, record.folder, self.mend, _problems(messages))


def _problems(messages: list[dict[str, Any]]) -> Iterator[RowProblem]:
    roles = [message["role"] for message in messages]
    if "user" not in roles:
        yield RowProblem("FAIL", "has no user turn", "write the question as a turn of user, or leave the row out")
    if roles[-1] != "assistant":
        advice = "give the model's last turn, or leave the row out"
        yield RowProblem("FAIL", f"ends with a turn of {roles[-1]}, of which nothing is learned", advice)
    if "system" in roles[1:]:
        yield RowProblem("FAIL", "has a system turn after the first", "chat templates take it at the start alone")
    if any(VIDEO in message["content"] for message in messages):
        yield RowProblem("FAIL", f"has {VIDEO} in a text, for which verl looks for a video", "write it otherwise")
    if any(not message["content"].strip() and "tool_calls" not in message for message in messages):
        yield RowProblem("FAIL", "has a turn without text", "leave the row out")


def _listed(images: Any) -> list[Any]:
    if images is None:
        return []
    return list(images) if isinstance(images, list | tuple) else [images]


def _tools(tools: Any) -> list[dict[str, Any]]:
    """Schemas, as a list or as its JSON."""
    if isinstance(tools, str):
        try:
            tools = json.loads(tools)
        except ValueError:
            raise NotMessages(f"goes with tools that are not valid JSON: {tools[:40]!r}") from None
    if not tools:
        return []
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, Mapping) for tool in tools):
        raise NotMessages("goes with tools that are not a list of schemas")
    return [dict(tool) for tool in tools]
