"""A chat in the forms that data sets have it in, as verl's: messages with ``<image>`` in texts, and the images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from verl_hdpo.runs.row_images import PLACEHOLDER

ROLES = {
    "system": "system", "user": "user", "assistant": "assistant", "tool": "tool", "human": "user", "gpt": "assistant",
    "model": "assistant", "function_call": "assistant", "observation": "user", "function": "tool",
}  # fmt: skip
"""What ShareGPT and others call the roles; an observation without a chat template's tools is a user's turn."""


class NotMessages(ValueError):
    """What is there is not a chat; the message says what it is."""


def read_messages(found: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """Messages of plain texts, and the images that stood in them as parts.

    Raises:
        NotMessages: it is none, or has a role or a content that is not known.
    """
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            raise NotMessages(f"is text that is not valid JSON: {found[:40]!r}") from None
    if not isinstance(found, list | tuple) or not found:
        raise NotMessages(f"is {'empty' if found == [] else type(found).__name__}")
    images: list[Any] = []
    return [_message(number, message, images) for number, message in enumerate(found)], images


def _message(number: int, message: Any, images: list[Any]) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise NotMessages(f"has message {number} that is {type(message).__name__}")
    said = message.get("role", message.get("from"))
    role = ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise NotMessages(f"has message {number} with role {said!r}; known: {', '.join(ROLES)}")
    content = message.get("content", message.get("value"))
    calls = _tool_calls(number, message.get("tool_calls"))
    if content is None and calls:
        content = ""
    made: dict[str, Any] = {"role": role, "content": "".join(_texts(number, content, images))}
    if calls:
        made["tool_calls"] = calls
    return made


def _texts(number: int, content: Any, images: list[Any]) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    if not isinstance(content, list | tuple):
        raise NotMessages(f"has message {number} with content that is {type(content).__name__}")
    for part in content:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield part["text"]
        elif isinstance(part, Mapping) and part.get("type") in ("image", "image_url"):
            if any(part.get(key) is not None for key in ("image", "image_url", "bytes", "path", "url")):
                images.append(part)
            yield PLACEHOLDER  # an empty part stands for the next of the row's images
        else:
            raise NotMessages(f"has message {number} with a part that is neither text nor image: {part!r:.60}")


def _tool_calls(number: int, calls: Any) -> list[dict[str, Any]]:
    """With arguments as text: in a column of objects parquet would give every call the arguments of all."""
    made = []
    for call in calls if isinstance(calls, list | tuple) else ():
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise NotMessages(f"has message {number} with a tool call without a name: {call!r:.60}")
        arguments = function.get("arguments", {})
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        made.append({"type": "function", "function": {"name": function["name"], "arguments": arguments}})
    return made
