"""What the model reads and writes of its tools: prompts with them, and a call as its chat template writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from verl.experimental.agent_loop.tool_parser import ToolParser

from verl_hdpo.adapters.run_settings import hdpo_settings
from verl_hdpo.adapters.tool_loading import Tool
from verl_hdpo.adapters.tool_prompt import tool_schemas
from verl_hdpo.doctor.data import Rows
from verl_hdpo.doctor.sections import TOOLS
from verl_hdpo.doctor.tokenizer import tokenizer_of
from verl_hdpo.runs.finding import Finding, Mark
from verl_hdpo.runs.verl_keys import MULTI_TURN, ROLLOUT


def check_prompt(config: DictConfig, tools: Sequence[Tool], data: Mapping[str, Rows]) -> Iterator[Finding]:
    """Render a row of each data source with the tools; nothing where there are none, or no tokenizer here."""
    path, key = config.actor_rollout_ref.model.path, config.data.get("prompt_key", "prompt")
    samples = {source: row[key] for rows in data.values() for source, row in rows.samples.items() if _is_text(row, key)}
    tokenizer = tokenizer_of(config)
    if tokenizer is None or not tools or not samples:
        return
    rendered = _Rendered(config, tokenizer, tools)
    try:
        prompts = {source: rendered.prompt(messages) for source, messages in samples.items()}
    except Exception as error:  # whatever the template raises
        found = f"the chat template of {path} cannot render a prompt with tools: {error}"
        yield Finding(TOOLS, "FAIL", "prompt", found, ("it must take the prompts and the tools",))
        return
    if not any(tool.name in text for tool in tools for text in prompts.values()):
        shown = rendered.shown
        shower = f"the chat template of {path}" if shown else "no prompt of the rows"
        found = (
            f"{shower} shows {'none' if shown else 'one'} of {', '.join(tool.name for tool in tools)}, so the model "
        )
        advice = "use a model, or an actor_rollout_ref.model.custom_chat_template, that supports tools"
        advice = advice if shown else "describe the tools in the rows, or set algorithm.hdpo.show_tools=true"
        yield Finding(TOOLS, "FAIL", "prompt", f"{found}cannot know of them", (advice,))
        return
    yield Finding(
        TOOLS, "ok", "prompt", "the chat template shows the tools" if rendered.shown else "the rows show the tools"
    )
    yield from _lengths(config, tokenizer, prompts)
    yield from _parsed(config, tokenizer, tools, rendered, next(iter(samples.values())))


def _lengths(config: DictConfig, tokenizer: Any, prompts: Mapping[str, str]) -> Iterator[Finding]:
    """verl cuts off the beginning of a prompt that is too long: that is where the tools are."""
    limit = config.actor_rollout_ref.rollout.prompt_length
    lengths = {source: len(tokenizer.encode(text, add_special_tokens=False)) for source, text in prompts.items()}
    if long := {source: length for source, length in lengths.items() if length > limit}:
        shown = ", ".join(f"{length} tokens for {source!r}" for source, length in long.items())
        found = f"with the tools, a prompt is longer than {ROLLOUT}.prompt_length={limit}: {shown}; verl cuts off its "
        mark: Mark = "FAIL" if len(long) == len(lengths) else "warn"
        advice = "raise data.max_prompt_length, which it follows, or shorten the tools' descriptions"
        yield Finding(TOOLS, mark, "prompt", f"{found}beginning, where the tools are", (advice,))


def _parsed(
    config: DictConfig, tokenizer: Any, tools: Sequence[Tool], rendered: _Rendered, messages: list[Any]
) -> Iterator[Finding]:
    """Whether the tool parser finds a call in what the chat template writes for one."""
    name = config.actor_rollout_ref.rollout.multi_turn.format
    if name not in ToolParser._registry:
        return
    try:
        written = rendered.call(messages, tools[0])
    except Exception:  # a template that takes no calls says nothing of the format that the model writes
        return
    if tools[0].name not in written or _finds(name, tokenizer, tools, written):
        return
    others = [other for other in sorted(ToolParser._registry) if _finds(other, tokenizer, tools, written)]
    found = (
        f"{MULTI_TURN}.format={name} finds no call in what the model's chat template writes for one: {written!r:.200}"
    )
    instead = f"set {MULTI_TURN}.format={others[0]}, which does" if others else "use a format that the model writes"
    yield Finding(TOOLS, "warn", "tool parser", found, (f"{instead}, unless the model was taught another one",))


def _finds(name: str, tokenizer: Any, tools: Sequence[Tool], written: str) -> bool:
    async def names() -> list[str]:
        parser = ToolParser.get_tool_parser(name, tokenizer)
        ids = tokenizer.encode(written, add_special_tokens=False)
        _, calls = await parser.extract_tool_calls(ids, [tool.tool_schema for tool in tools])
        return [call.name for call in calls]

    try:
        return tools[0].name in asyncio.run(names())
    except Exception:  # a parser may ask for a tokenizer of its own model
        return False


class _Rendered:
    """Texts of a model's chat template, with the tools."""

    def __init__(self, config: DictConfig, tokenizer: Any, tools: Sequence[Tool]):
        data: Any = OmegaConf.to_container(config.data, resolve=True)
        self._kwargs = {**(data.get("apply_chat_template_kwargs") or {}), "tokenize": False}
        self._tokenizer = tokenizer
        self.shown = hdpo_settings(config).show_tools
        self._schemas = tool_schemas(tools) if self.shown else []

    def prompt(self, messages: list[Any]) -> str:
        return self._tokenizer.apply_chat_template(
            messages, tools=self._schemas, add_generation_prompt=True, **self._kwargs
        )

    def call(self, messages: list[Any], tool: Tool) -> str:
        """What the model would have written to call ``tool``."""
        properties = tool.tool_schema.function.parameters.properties
        function = {"name": tool.name, "arguments": dict.fromkeys(list(properties)[:1], "1")}
        answer = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
        whole = self._tokenizer.apply_chat_template([*messages, answer], tools=self._schemas, **self._kwargs)
        before = self._tokenizer.apply_chat_template(messages, tools=self._schemas, **self._kwargs)
        return whole[len(before) :] if whole.startswith(before) else ""


def _is_text(row: Mapping[str, Any], key: str) -> bool:
    messages = row.get(key)
    return isinstance(messages, list) and all(isinstance(message.get("content"), str) for message in messages)
