"""The ``config`` of a tool in verl's tool yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field

from verl_hdpo.settings.group import Settings, SettingsError

VERL_KEYS = ("type",)
"""Keys of ``config`` that belong to verl's loader (verl/tools/tool_registry.py)."""


class ToolConfigError(SettingsError):
    """A tool's config that it cannot run with; the message says what was found and what to do."""


class ToolSettings(Settings):
    """What every tool of this package takes."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")
    """What the model calls the tool; None keeps the tool's own name."""


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
    try:
        return cls.read({key: value for key, value in dict(config or {}).items() if key not in VERL_KEYS}, "config")
    except SettingsError as error:
        raise ToolConfigError("\n".join(f"{tool}: {line}" for line in str(error).split("\n"))) from None
