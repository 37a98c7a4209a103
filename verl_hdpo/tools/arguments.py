"""The arguments that a model wrote for a tool call, and the error that says they are wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from verl_hdpo.tools.failures import BadCall

MAX_DEPTH = 64
"""Objects and lists within one another."""


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
    """Refuse arguments that are no object, are nested too deeply, or hold half of a surrogate pair.

    verl passes on any JSON; connections refuse these, some by breaking down, and that must not pass for an outage.

    Raises:
        BadCall: what was found.
    """
    if not isinstance(parameters, Mapping):
        raise BadCall(f"the arguments must be a JSON object, found {type(parameters).__name__}")
    level, depth = [parameters], 0
    while level := [inner for outer in level for inner in _inside(outer)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise BadCall(f"the arguments are nested more than {MAX_DEPTH} deep")
    try:
        json.dumps(parameters, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BadCall(f"the arguments hold {error.object[error.start]!r}, which is no character") from None


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()
