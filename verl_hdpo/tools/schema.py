"""What a model is shown of a tool: its name, what it does, and the JSON Schema of its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

JSON_TYPES = ["string", "number", "integer", "boolean", "array", "object", "null"]


class Signature(NamedTuple):
    """A function in OpenAI's format.

    Attributes:
        name: what the model calls it, unless ``config.name`` says otherwise.
        description: what it does.
        parameters: JSON Schema of its arguments, an object; each has a ``type``, which verl asks for.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]

    @classmethod
    def of_texts(cls, name: str, description: str, **arguments: str) -> Signature:
        """A tool whose arguments are all texts and all required; ``arguments`` are their descriptions."""
        properties = {key: {"type": "string", "description": text} for key, text in arguments.items()}
        return cls(name, description, {"type": "object", "properties": properties, "required": list(arguments)})

    @classmethod
    def of_json_schema(cls, name: str, description: str, parameters: Mapping[str, Any]) -> Signature:
        """A tool of somebody else's, whose optional arguments may have no ``type`` of their own."""
        properties = {key: _typed(value) for key, value in parameters.get("properties", {}).items()}
        return cls(name, description, {**parameters, "type": "object", "properties": properties})


def _typed(schema: Any) -> dict[str, Any]:
    """The same with ``type``, read off its alternatives where it has none of its own."""
    schema = dict(schema) if isinstance(schema, Mapping) else {}  # true: anything goes
    if "type" not in schema:
        alternatives = schema.get("anyOf") or schema.get("oneOf") or []
        types = [one.get("type") for one in alternatives if isinstance(one, Mapping)]
        schema["type"] = types if types and all(isinstance(one, str) for one in types) else JSON_TYPES
    return schema
