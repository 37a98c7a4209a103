"""Whether the model's chat template tells it of the tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_hdpo.adapters.tool_loading import Tool
from verl_hdpo.adapters.tool_prompt import shows_tools
from verl_hdpo.doctor.data import Rows
from verl_hdpo.doctor.sections import TOOLS
from verl_hdpo.doctor.tokenizer import tokenizer_of
from verl_hdpo.runs.finding import Finding


def check_prompt(config: DictConfig, tools: list[Tool], data: Mapping[str, Rows]) -> Iterator[Finding]:
    """Render the first row with the tools; nothing where there are none, or no row, or no tokenizer on this machine."""
    path, key = config.actor_rollout_ref.model.path, config.data.get("prompt_key", "prompt")
    prompts = [row[key] for rows in data.values() for row in rows.samples.values() if isinstance(row.get(key), list)]
    try:
        tokenizer = tokenizer_of(config)
    except ValueError as error:
        yield Finding(TOOLS, "FAIL", "prompt", str(error), ("write the model's folder again",))
        return
    if tokenizer is None or not tools or not prompts:
        return
    kwargs: Any = OmegaConf.to_container(config.data, resolve=True)
    try:
        shown = shows_tools(tokenizer, prompts[0], tools, kwargs.get("apply_chat_template_kwargs"))
    except Exception as error:  # whatever the template raises
        found = f"the chat template of {path} cannot render a prompt with tools: {error}"
        yield Finding(TOOLS, "FAIL", "prompt", found, ("it must take the prompts and the tools",))
        return
    if not shown:
        found = f"the chat template of {path} shows none of {', '.join(tool.name for tool in tools)}, so the model "
        advice = "use a model, or an actor_rollout_ref.model.custom_chat_template, that supports tools"
        yield Finding(TOOLS, "FAIL", "prompt", f"{found}cannot know of them", (advice,))
    else:
        yield Finding(TOOLS, "ok", "prompt", "the chat template shows the tools")
