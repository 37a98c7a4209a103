"""Arguments of tool calls as their JSON Schema means them, in formats that write every value as bare text.

In the formats ``qwen3_coder``, ``glm``, ``seed`` and ``minimax`` nothing in ``<parameter=q>2024</parameter>`` tells a
text from a number. verl's parsers guess: three of them read whatever is JSON as JSON, and that of ``qwen3_coder`` knows
no type but a single one, not ``["string", "null"]``. A query ``2024`` then reaches the tool as a number and is refused,
and ``"exact words"`` without its quotes.
"""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from verl.experimental.agent_loop.tool_parser import FunctionCall, ToolParser
from verl.tools.schemas import OpenAIFunctionToolSchema

CONVERTERS = {"glm": "_convert_arg_value", "seed": "_convert_parameter_value", "minimax": "_convert_parameter_value"}
"""Methods by which verl's parsers guess what a text is."""

BARE_TEXT = ("qwen3_coder", *CONVERTERS)

_TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float), "integer": (int,), "boolean": (bool,), "array": (list,), "object": (dict,),
}  # fmt: skip


def parser_of_texts(parser: ToolParser, name: str) -> ToolParser:
    """The same parser, leaving values as they were written where it is one that guesses."""
    if name in CONVERTERS:
        parser = copy.copy(parser)
        setattr(parser, CONVERTERS[name], str.strip)
    return parser


def of_texts(schema: OpenAIFunctionToolSchema) -> OpenAIFunctionToolSchema:
    """The same with arguments that are all texts, which the parser of ``qwen3_coder`` leaves as they were written."""
    schema = schema.model_copy(deep=True)
    for argument in schema.function.parameters.properties.values():
        argument.type = "string"
    return schema


def typed(call: FunctionCall, schemas: Sequence[OpenAIFunctionToolSchema]) -> FunctionCall:
    """``call``, whose arguments are texts, with the values that its tool's schema means."""
    known = {schema.function.name: schema.function.parameters.properties for schema in schemas}
    arguments: Mapping[str, Any] = json.loads(call.arguments)
    properties = known.get(call.name, {})
    values = {
        name: value_of(text, _types(properties.get(name))) if isinstance(text, str) else text
        for name, text in arguments.items()
    }
    return call.model_copy(update={"arguments": json.dumps(values, ensure_ascii=False)})


def value_of(text: str, types: Sequence[str]) -> Any:
    """What ``text`` is as one of ``types`` of JSON Schema; the text itself where it is none of them but a string.

    Without types, or where it is none of them, it is what it is as JSON or, failing that, as Python.
    """
    if text.lower() == "null" and "null" in types:
        return None
    others = tuple(one for one in types if one not in ("string", "null"))
    if types and not others:
        return text
    value = _parsed(text)
    fits = any(_is(value, one) for one in others)
    return text if "string" in types and not fits else value


def _types(argument: Any) -> list[str]:
    if argument is None:
        return []
    return [argument.type] if isinstance(argument.type, str) else list(argument.type)


def _parsed(text: str) -> Any:
    for parse in (json.loads, _literal):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return text


def _literal(text: str) -> Any:
    return json.loads(json.dumps(ast.literal_eval(text)))  # a set or a complex number is no argument


def _is(value: Any, kind: str) -> bool:
    """``bool`` is no number in JSON."""
    return isinstance(value, _TYPES.get(kind, ())) and (kind == "boolean" or not isinstance(value, bool))
