"""Tools' answers as turns of the user (``algorithm.hdpo.observation_role=user``)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any


def observed_by_user(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """``messages`` with the answers of each round of calls in one user's turn, one below the other."""
    found: list[dict[str, Any]] = []
    for is_tool, group in groupby(messages, lambda message: message["role"] == "tool"):
        turns = [*group]
        found += [{"role": "user", "content": _joined([one["content"] for one in turns])}] if is_tool else turns
    return found


def _joined(contents: Sequence[Any]) -> Any:
    if all(isinstance(content, str) for content in contents):
        return "\n".join(contents)
    return [part for content in contents for part in (content if isinstance(content, list) else [_text(content)])]


def _text(content: str) -> dict[str, str]:
    return {"type": "text", "text": content}
