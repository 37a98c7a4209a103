"""The OpenAI schema of a tool, in verl's classes."""

from __future__ import annotations

from typing import Any

from verl.tools.schemas import OpenAIFunctionToolSchema


def text_schema(name: str, description: str, **arguments: str) -> OpenAIFunctionToolSchema:
    """A tool whose arguments are all texts and all required; ``arguments`` are their descriptions."""
    properties = {key: {"type": "string", "description": text} for key, text in arguments.items()}
    parameters: dict[str, Any] = {"type": "object", "properties": properties, "required": list(arguments)}
    function = {"name": name, "description": description, "parameters": parameters}
    return OpenAIFunctionToolSchema.model_validate({"type": "function", "function": function})
