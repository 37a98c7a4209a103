"""The arguments that a model wrote for a tool call, and the error that says they are wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class BadCall(ValueError):
    """Raised by a tool for a call that the model got wrong: the text goes back to it, and the call counts.

    The opposite is ``verl_hdpo.tool_ledger.ToolUnavailable``, which is not the model's doing.
    """


def text_argument(parameters: Any, name: str, max_chars: int) -> str:
    """The tool's only argument, a text; surrounding space is dropped.

    Raises:
        BadCall: it is missing, no text, empty or longer than ``max_chars``, or there are other arguments.
    """
    check_names(parameters, {name})
    if name not in parameters:
        raise BadCall(f"the argument {name!r} is missing")
    value = parameters[name]
    if not isinstance(value, str):
        raise BadCall(f"{name!r} must be a text, found {type(value).__name__}")
    value = value.strip()
    if not value:
        raise BadCall(f"{name!r} is empty")
    if len(value) > max_chars:
        raise BadCall(f"{name!r} is {len(value)} characters long, at most {max_chars} are allowed")
    return value


def check_names(parameters: Any, known: set[str]) -> None:
    """Refuse arguments that are no object, and names outside ``known``.

    Raises:
        BadCall: what was found, and what is known.
    """
    check_object(parameters)
    unknown = sorted(str(name)[:40] for name in parameters if name not in known)
    if unknown:
        takes = ", ".join(sorted(known)) or "none"
        raise BadCall(f"unknown argument {unknown[0]!r}; arguments of this tool: {takes}")


def check_object(parameters: Any) -> None:
    """Refuse arguments that are no object, or hold half of a surrogate pair: verl passes on any JSON.

    Raises:
        BadCall: what was found.
    """
    if not isinstance(parameters, Mapping):
        raise BadCall(f"the arguments must be a JSON object, found {type(parameters).__name__}")
    try:
        json.dumps(parameters, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        # Every connection refuses it, some by breaking down; it must not pass for an outage.
        raise BadCall(f"the arguments hold {error.object[error.start]!r}, which is no character") from None
