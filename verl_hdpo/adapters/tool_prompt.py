"""Whether a prompt tells the model of its tools: a chat template may leave them out without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def shows_tools(
    tokenizer: Any, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any], kwargs: Mapping[str, Any] | None
) -> bool:
    """Whether ``messages``, rendered as verl's tool loop renders them, name one of ``tools`` (verl's ``BaseTool``s).

    Args:
        kwargs: ``data.apply_chat_template_kwargs``.
    """
    schemas = [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in tools]
    shown = tokenizer.apply_chat_template(list(messages), tools=schemas, tokenize=False, **(kwargs or {}))
    return any(tool.name in shown for tool in tools)
