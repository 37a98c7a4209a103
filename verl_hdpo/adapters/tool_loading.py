"""The tools that a run's workers load, and in plain words why they cannot."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, TypeAlias

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from verl.tools.base_tool import BaseTool
from verl.tools.function_tool import FunctionTool
from verl.tools.tool_registry import ToolType, load_all_tools

from verl_hdpo.adapters.user_code import (
    EndsProcessError,
    class_problems,
    config_file,
    ending_is_an_error,
    find_modules_here,
    in_words,
)
from verl_hdpo.runs.migration.tool_classes import replacement
from verl_hdpo.settings.tool import ToolConfigError

Tool: TypeAlias = BaseTool | FunctionTool
PATHS = ("tool_config_path", "function_tool_path")


class NoToolFileError(ToolConfigError):
    """A file of tools that does not exist."""


def tool_paths(config: DictConfig) -> dict[str, str]:
    """verl's settings that name tools, as far as they are set."""
    multi_turn = config.actor_rollout_ref.rollout.multi_turn
    return {name: str(path) for name in PATHS if (path := multi_turn.get(name))}


def load_tools(tool_config_path: str | None = None, function_tool_path: str | None = None) -> list[Tool]:
    """The tools of a tool yaml and of a file of function tools, as verl loads them.

    Raises:
        NoToolFileError: a file that does not exist.
        ToolConfigError: as :func:`read_tool_yaml`; or a tool that cannot be made, two of one name, or none.
        Exception: what a tool of this package raises when it cannot start.
    """
    find_modules_here()
    tools: list[Tool] = []
    with redirect_stdout(StringIO()):  # every tool prints its schema
        if tool_config_path:
            read_tool_yaml(tool_config_path)
            tools += _load("tool_config_path", tool_config_path)
        if function_tool_path:
            tools += _load("function_tool_path", function_tool_path)
    given = " and ".join(path for path in (tool_config_path, function_tool_path) if path)
    if twice := sorted(name for name, number in Counter(tool.name for tool in tools).items() if number > 1):
        raise ToolConfigError(
            f"{given}: more than one tool is called {', '.join(twice)}, and verl would keep the last; give each a name "
            f"of its own, for this package's tools by config.name"
        )
    if given and not tools:
        raise ToolConfigError(f"{given}: no tool in it; decorate functions with @function_tool")
    return tools


def read_tool_yaml(path: str) -> dict[str, Any]:
    """The content of a tool yaml, once all is right that verl's loader would take on trust.

    Raises:
        NoToolFileError: the file does not exist.
        ToolConfigError: it is not valid YAML, has an entry that verl cannot read, a class that
            cannot be imported; the message names file and entry.
    """
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(_resolved(path)), resolve=True)
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise ToolConfigError(f"{path} is not valid YAML: {error}") from None
    entries = config.get("tools") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(entries, list) or not entries:
        raise ToolConfigError(f"{path}: no tools; it must hold a list, tools: [{{class_name: ..., config: ...}}]")
    if problems := [f"tools[{n}]: {problem}" for n, entry in enumerate(entries) for problem in _problems(entry)]:
        raise ToolConfigError(f"{path}: " + "\n".join(problems))
    return config


def _problems(entry: Any) -> Iterator[str]:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        yield f"must be an object with class_name and config, found {entry!r}"
        return
    config, kinds = entry.get("config"), [kind.value for kind in ToolType]
    kind = config.get("type") if isinstance(config, dict) else None
    if kind not in kinds:
        yield f"config.type must be {' or '.join(kinds)}, found {kind!r}"
    instead, problems = replacement(entry["class_name"]), [*class_problems(entry["class_name"], "class_name")]
    for problem in problems:
        yield f"{problem}; {instead}" if instead else problem
    module, _, name = entry["class_name"].rpartition(".")
    if not problems and not hasattr(getattr(sys.modules[module], name), "execute"):
        yield f"class_name={entry['class_name']}: it has no execute(); name a subclass of verl's BaseTool"


def _load(name: str, path: str) -> list[Tool]:
    try:
        with ending_is_an_error():
            return load_all_tools(**{**dict.fromkeys(PATHS), name: _resolved(path)})
    except Exception as error:  # whatever the owner's file or class raises
        ours = type(error).__module__.startswith("verl_hdpo.") and not isinstance(error, EndsProcessError)
        if isinstance(error, ConnectionError) or ours:
            raise  # says all there is to say
        raise ToolConfigError(f"{path}: {in_words(error)}") from error


def _resolved(path: str) -> str:
    found = config_file(path)
    if found is None:
        where = "" if os.path.isabs(path) else f" in {os.getcwd()}"
        raise NoToolFileError(f"{path} does not exist{where}; name a tool yaml, or a Python file of function tools")
    return str(found)
