"""``spoken``: a prompt or a completion of another framework, as text or as messages, by turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from verl_hdpo.evaluation.dumps.dialogue import message_turns
from verl_hdpo.evaluation.dumps.rollout import Turn


def spoken(said: Any, of_text: Callable[[str], tuple[Turn, ...]]) -> tuple[Turn, ...]:
    """The turns of ``said``: messages in OpenAI's form, or text, which ``of_text`` reads; None: no turns."""
    if isinstance(said, list | tuple) and all(isinstance(message, Mapping) for message in said):
        return message_turns([_with_objects(message) for message in said])
    return of_text(str(said)) if said is not None else ()


def _with_objects(message: Mapping[str, Any]) -> dict[str, Any]:
    """verifiers writes each call as a text of JSON."""
    calls = [_object(call) for call in message.get("tool_calls") or ()]
    return {**message, "tool_calls": calls}


def _object(call: Any) -> Mapping[str, Any]:
    if isinstance(call, str):
        try:
            call = json.loads(call)
        except ValueError:
            return {"name": "", "arguments": call}
    return call if isinstance(call, Mapping) else {"name": "", "arguments": str(call)}
