"""The ``config`` of a tool in verl's tool yaml: typed, frozen, unknown keys refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

VERL_KEYS = ("type",)
"""Keys of ``config`` that belong to verl's loader (verl/tools/tool_registry.py)."""


class ToolConfigError(ValueError):
    """A tool's config that it cannot run with; the message says what was found and what to do."""


class Settings(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolSettings(Settings):
    """What every tool of this package takes.

    Attributes:
        name: what the model calls the tool; None keeps the tool's own name.
    """

    name: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")


T = TypeVar("T", bound=Settings)


def read_settings(cls: type[T], config: Mapping[str, Any] | None, tool: str) -> T:
    """Build ``cls`` from a tool's ``config``.

    Args:
        cls: the tool's settings.
        config: the mapping that verl hands to the tool.
        tool: the tool's name, for the message.

    Raises:
        ToolConfigError: an unknown key, a missing one or a value outside its range.
    """
    found = {key: value for key, value in dict(config or {}).items() if key not in VERL_KEYS}
    try:
        return cls.model_validate(found)
    except ValidationError as error:
        raise ToolConfigError("\n".join(_line(tool, cls, problem) for problem in error.errors())) from None


def _line(tool: str, cls: type[Settings], problem: Mapping[str, Any]) -> str:
    # The value of an unknown key is left out: it may be a password that has no place here.
    where = ".".join(str(part) for part in ("config", *problem["loc"]))
    if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
        close = difflib.get_close_matches(problem["loc"][0], cls.model_fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(cls.model_fields)}"
        return f"{tool}: unknown setting {where}; {hint}"
    if problem["type"] == "extra_forbidden":
        return f"{tool}: unknown setting {where}"
    if problem["type"] == "missing":
        return f"{tool}: {where} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], Mapping):
        return f"{tool}: {where}: {message}"
    return f"{tool}: {where}: {message}, found {problem['input']!r}"
