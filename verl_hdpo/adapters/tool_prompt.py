"""Whether a prompt tells the model of its tools: a chat template may leave them out without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def tool_schemas(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """The schemas of verl's tools as its tool loop hands them to a chat template."""
    return [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in tools]


def shows_tools(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    by_template: bool = True,
) -> bool:
    """Whether ``messages``, rendered as verl's tool loop renders them, name one of ``tools`` (verl's ``BaseTool``s).

    Args:
        kwargs: ``data.apply_chat_template_kwargs``.
        by_template: ``algorithm.hdpo.show_tools``: else the messages themselves must.
    """
    schemas = tool_schemas(tools) if by_template else None
    shown = tokenizer.apply_chat_template(list(messages), tools=schemas, tokenize=False, **(kwargs or {}))
    return any(tool.name in shown for tool in tools)
