"""The paper's grammar: ``<reason>...</reason>``, and then calls of tools or, in the last turn, the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

TAGS = ("reason", "tool_call", "answer")
_TAG = re.compile(rf"<(/?)({'|'.join(TAGS)})>")


def follows_reason_grammar(turns: Sequence[str]) -> bool:
    """Whether each of the model's turns is of this form, and the last one alone has an answer.

    Outside the blocks only white space may stand, no block may hold another one's tag, the answer is not blank, and a
    call is an object with a name and arguments.
    """
    read = [_blocks(turn) for turn in turns]
    if not read or any(blocks is None for blocks in read):
        return False
    *calling, last = [[name for name, _ in blocks or ()] for blocks in read]
    calls = [text for blocks in read for name, text in blocks or () if name == "tool_call"]
    answer = next((text for name, text in read[-1] or () if name == "answer"), "")
    called = all(names[:1] == ["reason"] and {*names[1:]} == {"tool_call"} for names in calling)
    return called and last == ["reason", "answer"] and bool(answer.strip()) and all(map(_is_call, calls))


def _blocks(turn: str) -> list[tuple[str, str]] | None:
    """(tag, what it holds) of each block in order; None if there is anything else."""
    found, at = [], 0
    tags = [*_TAG.finditer(turn)]
    if not tags or len(tags) % 2:
        return None
    for opened, closed in zip(tags[::2], tags[1::2], strict=True):
        if opened[1] or not closed[1] or opened[2] != closed[2] or turn[at : opened.start()].strip():
            return None
        found.append((opened[2], turn[opened.end() : closed.start()]))
        at = closed.end()
    return None if turn[at:].strip() else found


def _is_call(text: str) -> bool:
    try:
        call = json.loads(text)
    except ValueError:
        return False
    return isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("arguments"), dict)
