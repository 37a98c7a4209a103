"""``try_calls``: calls of one tool by hand, as the tool server runs them, in one conversation."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from verl_hdpo.adapters.served_tools import served
from verl_hdpo.adapters.tool_loading import load_tools
from verl_hdpo.adapters.tool_names import TrialError
from verl_hdpo.runs.did_you_mean import did_you_mean
from verl_hdpo.runs.outputs import check_apart
from verl_hdpo.runs.terminal import doing, say, show_json
from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.base import Tool
from verl_hdpo.tools.images.image_file import ImageRefused, read_image
from verl_hdpo.tools.sandbox import isolation
from verl_hdpo.tools.server.conversation import Conversation
from verl_hdpo.tools.server.messages import CallResult, SentImage
from verl_hdpo.tools.server.sessions import ServedTool


def try_calls(
    name: str, given: Sequence[str], config: Path | None, images: Sequence[Path], out: Path | None, as_json: bool
) -> bool:
    """Make the calls one after the other, and print the answers; returns whether all went well.

    Args:
        name: of the tool.
        given: a JSON object of arguments for each call, or the text of a tool's only argument.
        config: a tool yaml that has the tool; None: one of this package, as it is by default.
        images: pictures that the conversation begins with.
        out: folder for the pictures that come back.

    Raises:
        TrialError: an image that cannot be read, a yaml without such a tool, or text for a tool with several arguments.
        ToolConfigError: settings that the tool cannot run with.
    """
    pictures = [_picture(path) for path in images]
    if out:
        check_apart(out, images)
    with _isolation_untold():
        with doing(f"starting {name}"), redirect_stdout(StringIO()):  # verl's tools print their schema
            tool = _in_yaml(name, config) if config else served(_own(name))
        results = asyncio.run(_all(tool, [_arguments(tool, text) for text in given], pictures))
    for number, result in enumerate(results, 1):
        for place, image in enumerate(result.images, 1):
            if out:
                out.mkdir(parents=True, exist_ok=True)
                (out / f"call{number}_{place}.png").write_bytes(image.file())
    if as_json:
        show_json([{**result.model_dump(exclude={"images"}), "images": len(result.images)} for result in results])
    else:
        for result in results:
            _say(result, out)
    return all(result.status == "ok" for result in results)


@contextmanager
def _isolation_untold() -> Iterator[None]:
    """What isolates model code is told to runs, not to a person who tries a tool."""
    logger = logging.getLogger(isolation.__name__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _say(result: CallResult, out: Path | None) -> None:
    if result.status != "ok":
        say(f"{result.status}: {result.text}", "red")
        return
    if result.text:
        say(result.text)
    if result.images:
        say(f"[{len(result.images)} pictures{f', in {out}' if out else '; --out FOLDER keeps them'}]", "magenta")


async def _all(tool: ServedTool, calls: Sequence[Any], pictures: Sequence[SentImage]) -> list[CallResult]:
    conversation = Conversation()
    conversation.add(0, pictures)
    with doing(f"{tool.name} works"):
        return [await tool.run(conversation, arguments, {}) for arguments in calls]


def _picture(path: Path) -> SentImage:
    try:
        return SentImage.of(read_image(path.read_bytes()))
    except ImageRefused as error:
        raise TrialError(f"--image {path}: {error}") from None


def _in_yaml(name: str, config: Path) -> ServedTool:
    tools = {tool.name: tool for tool in load_tools(str(config))}
    if name not in tools:
        raise TrialError(f"{config} has no tool {name}; {did_you_mean(name, sorted(tools))}")
    return served(tools[name])


def _own(name: str) -> Tool:
    module = importlib.import_module(f"verl_hdpo.tools.{name}")
    (own,) = (one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__
              and issubclass(one, Tool))  # fmt: skip
    try:
        return own({})
    except ToolConfigError as error:
        page = f"docs/tools/{name}.md"
        raise TrialError(f"{error}\n{name} needs settings: give a tool yaml with --config, as {page} shows") from None


def _arguments(tool: ServedTool, text: str) -> Any:
    """The object that ``text`` is; any other text is the one argument of a tool that has one."""
    try:
        found = json.loads(text)
    except ValueError as error:
        if text.lstrip().startswith("{"):
            raise TrialError(f"{text!r} is not valid JSON: {error}") from None
        found = None
    if isinstance(found, dict):
        return found
    names = list(tool.schema["function"]["parameters"].get("properties", {}))
    if len(names) != 1:
        raise TrialError(f"{tool.name} takes {', '.join(names) or 'no arguments'}: give a JSON object, found {text!r}")
    return {names[0]: text}
