"""The tools of a run: loaded, created and released as its workers do it, and compared with what names them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig
from verl.experimental.agent_loop.tool_parser import ToolParser
from verl.tools.function_tool import FunctionTool

from verl_hdpo.adapters.names import AGENT_LOOP, STOCK_TOOLS
from verl_hdpo.adapters.run_settings import hdpo_settings
from verl_hdpo.adapters.tool_loading import NoToolFileError, Tool, load_tools, tool_paths
from verl_hdpo.adapters.user_code import in_words
from verl_hdpo.doctor.data import Rows, Tallies
from verl_hdpo.doctor.progress import doing
from verl_hdpo.doctor.sections import DATA, TOOLS
from verl_hdpo.outcomes.ledger import UNKNOWN_TOOL
from verl_hdpo.runs.finding import Finding, Mark
from verl_hdpo.runs.verl_keys import MULTI_TURN
from verl_hdpo.tools.failures import ToolUnavailable


def tools_of(config: DictConfig) -> list[Tool]:
    """The tools of a run; none where they cannot be loaded."""
    tools, _ = _loaded(**tool_paths(config))
    return tools


def check_tools(config: DictConfig, loops: tuple[str, ...], data: Mapping[str, Rows]) -> Iterator[Finding]:
    """That the tools can be loaded, created and released, and that settings and rows name those that there are.

    Args:
        loops: the agent loops that call them.
        data: what the rows say.
    """
    given = tool_paths(config)
    if not given:
        return
    yield from _parser(config)
    doing("loading the tools")
    tools, wrong = _loaded(**given)
    if isinstance(wrong, NoToolFileError):  # which is told among the files
        return
    if wrong is not None:
        advice = "each tool must be found, and be made, before a run starts"
        yield Finding(TOOLS, "FAIL", "tools", str(wrong), (advice,))
        return
    names = [tool.name for tool in tools]
    yield Finding(TOOLS, "ok", "tools", ", ".join(names))
    yield from _settings(config, tools)
    yield from _selections(names, data)
    yield from _tools_kwargs(names, loops, data)
    for tool in tools:
        if not isinstance(tool, FunctionTool):  # which verl calls as it is
            doing(f"creating and releasing the tool {tool.name}")
            yield from _create_and_release(tool, data, hdpo_settings(config).tool_timeout)


def _parser(config: DictConfig) -> Iterator[Finding]:
    name, known = config.actor_rollout_ref.rollout.multi_turn.format, sorted(ToolParser._registry)
    if name not in known:
        found = f"{MULTI_TURN}.format={name}: verl has no such tool parser"
        yield Finding(TOOLS, "FAIL", "tool parser", found, (f"use one of {', '.join(known)}",))
    else:
        yield Finding(TOOLS, "ok", "tool parser", name)


def _settings(config: DictConfig, tools: list[Tool]) -> Iterator[Finding]:
    settings, names = hdpo_settings(config), [tool.name for tool in tools]
    if unknown := [name for name in settings.tool_costs if name not in (*names, UNKNOWN_TOOL)]:
        found = f"algorithm.hdpo.tool_costs names {', '.join(unknown)}, and the tools are {', '.join(names)}"
        yield Finding(TOOLS, "FAIL", "tools", found, ("name a tool as the model calls it",))
    for tool in tools:
        # An attribute of this package's tools that may wait: seconds after which a call has an answer or none.
        ends_within = getattr(tool, "ends_within", 0.0)
        if settings.tool_timeout is not None and ends_within >= settings.tool_timeout:
            found = (
                f"a call of {tool.name} may take {ends_within:g} s, waiting included, and algorithm.hdpo.tool_timeout "
                f"is {settings.tool_timeout:g} s: an outage would count as a call that the model took too long with"
            )
            advice = "lower the tool's timeout, wait_seconds or deadline, or raise tool_timeout"
            yield Finding(TOOLS, "FAIL", "tools", found, (advice,))


def _selections(names: list[str], data: Mapping[str, Rows]) -> Iterator[Finding]:
    """``extra_info.tool_selection`` of all rows."""
    for split, rows in data.items():
        unknown = Tallies()
        for selection, tally in rows.selections.items():
            if missing := tuple(name for name in selection if name not in names):
                unknown.merge((missing, len(missing) == len(selection)), tally)
        for (missing, no_tool), tally in unknown.items():
            found = f"{tally}: extra_info.tool_selection names {', '.join(missing)}; the tools are {', '.join(names)}"
            if no_tool:
                found += ", and none is left that the model could call"
            mark: Mark = "FAIL" if no_tool else "warn"
            yield Finding(DATA, mark, f"data.{split}_files", found, ("name tools as the model calls them",))


def _tools_kwargs(names: list[str], loops: tuple[str, ...], data: Mapping[str, Rows]) -> Iterator[Finding]:
    """``extra_info.tools_kwargs`` of all rows: parquet fills with null what a row lacks and others have."""
    for split, rows in data.items():
        for name, tally in rows.tools_kwargs.items():
            if name not in names:
                found = f"{tally}: extra_info.tools_kwargs has arguments for {name}; the tools are {', '.join(names)}"
                advice = "name the tool as the model calls it"
                yield Finding(DATA, "warn", f"data.{split}_files", found, (advice,))
        for name, tally in rows.null_kwargs.items() if STOCK_TOOLS in loops else ():
            if name in ("", *names):
                of = f"of {name} " if name else ""
                found = (
                    f"{tally}: extra_info.tools_kwargs {of}is null, as parquet fills in what other rows have; every "
                    f"call {of}there fails in agent loop {STOCK_TOOLS}"
                )
                advice = f"write {{}} in those rows, or use agent loop {AGENT_LOOP}"
                yield Finding(DATA, "FAIL", f"data.{split}_files", found, (advice,))


def _create_and_release(tool: Tool, data: Mapping[str, Rows], seconds: float | None) -> Iterator[Finding]:
    """Within ``seconds``, with the arguments of a row that has some, and without where some have none."""
    examples = [rows.examples[tool.name] for rows in data.values() if tool.name in rows.examples]
    asked: list[dict[str, Any]] = []
    if examples:
        kwargs = examples[0]["extra_info"]["tools_kwargs"][tool.name]
        asked.append(dict((kwargs or {}).get("create_kwargs") or {}))
    if not examples or any(_lack(rows, tool.name) for rows in data.values()):
        asked.append({})
    for create_kwargs in asked:
        given = f" with create_kwargs={create_kwargs!r:.80}" if create_kwargs else ""
        given = " without create_kwargs, as for some rows" if len(asked) > 1 and not create_kwargs else given
        try:
            asyncio.run(_within(seconds, _once(tool, create_kwargs)))
        except _TooSlowError:
            found = (
                f"{tool.name} was neither created nor released{given} within algorithm.hdpo.tool_timeout={seconds:g} s"
            )
            yield Finding(TOOLS, "FAIL", "tools", found, ("mend its create() or release(), or raise tool_timeout",))
        except (ToolUnavailable, ConnectionError) as error:
            found = f"{tool.name} is not available now: {error}"
            yield Finding(TOOLS, "warn", "tools", found, ("calls of it make outcomes unknown; start its service",))
        except _ReleaseError as error:
            found = f"{tool.name} cannot be released{given}: {in_words(error.__cause__ or error)}"
            yield Finding(TOOLS, "FAIL", "tools", found, ("mend its release(): what a call holds is never given back",))
        except Exception as error:  # whatever the tool raises
            found = f"{tool.name} cannot be created{given}: {in_words(error)}"
            yield Finding(TOOLS, "FAIL", "tools", found, ("mend its create(): calls of it would fail",))


def _lack(rows: Rows, tool: str) -> bool:
    """Whether some rows have no arguments of a tool."""
    return tool not in rows.tools_kwargs or rows.tools_kwargs[tool].rows < rows.count


class _ReleaseError(Exception):
    pass


class _TooSlowError(Exception):
    pass


async def _within(seconds: float | None, work: Coroutine[Any, Any, None]) -> None:
    # Not wait_for, which would not tell a tool's own TimeoutError from this one.
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        raise _TooSlowError
    task.result()


async def _once(tool: Any, create_kwargs: dict[str, Any]) -> None:
    # As ToolAgentLoop._call_tool.
    created = await tool.create(create_kwargs=create_kwargs)
    try:
        instance_id, _ = created
    except (TypeError, ValueError):
        raise TypeError(f"create() must return (instance id, ToolResponse), and returned {created!r:.80}") from None
    try:
        await tool.release(instance_id)
    except Exception as error:
        raise _ReleaseError from error


@functools.cache  # a file of function tools can be imported once per process
def _loaded(
    tool_config_path: str | None = None, function_tool_path: str | None = None
) -> tuple[list[Tool], Exception | None]:
    """The tools, or why they cannot be loaded."""
    try:
        return load_tools(tool_config_path, function_tool_path), None
    except Exception as error:  # whatever a tool raises when it cannot start
        return [], error
