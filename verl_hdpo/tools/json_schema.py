"""verl's schema classes, with all of JSON Schema let through.

verl's own (verl/tools/schemas.py) keep a parameter's type, description and enum, drop the rest (``items``,
``default``, nested ``properties``) and refuse a parameter without ``type``, as every optional one has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict
from verl.tools.schemas import (
    OpenAIFunctionParametersSchema,
    OpenAIFunctionPropertySchema,
    OpenAIFunctionSchema,
    OpenAIFunctionToolSchema,
)

JSON_TYPES = ["string", "number", "integer", "boolean", "array", "object", "null"]


class _Property(OpenAIFunctionPropertySchema):
    model_config = ConfigDict(extra="allow")


class _Parameters(OpenAIFunctionParametersSchema):
    model_config = ConfigDict(extra="allow")
    properties: dict[str, _Property]


class _Function(OpenAIFunctionSchema):
    parameters: _Parameters


class _Tool(OpenAIFunctionToolSchema):
    function: _Function


def from_json_schema(name: str, description: str, parameters: Mapping[str, Any]) -> OpenAIFunctionToolSchema:
    """A tool's schema in verl's classes.

    Args:
        name: what the model calls it.
        description: what it does.
        parameters: JSON Schema of its arguments, an object.
    """
    properties = {key: _typed(value) for key, value in parameters.get("properties", {}).items()}
    function = {
        "name": name,
        "description": description,
        "parameters": {**parameters, "type": "object", "properties": properties},
    }
    return _Tool.model_validate({"type": "function", "function": function})


def _typed(schema: Any) -> dict[str, Any]:
    """The same with ``type``, read off its alternatives where it has none of its own."""
    schema = dict(schema) if isinstance(schema, Mapping) else {}  # true: anything goes
    if "type" not in schema:
        alternatives = schema.get("anyOf") or schema.get("oneOf") or []
        types = [one.get("type") for one in alternatives if isinstance(one, Mapping)]
        schema["type"] = types if types and all(isinstance(one, str) for one in types) else JSON_TYPES
    return schema
