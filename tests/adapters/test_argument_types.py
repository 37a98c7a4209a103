"""A value that a format writes as bare text reaches the tool as its schema means it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_loop import FINAL, counts, function_tool, run_loop
from verl.experimental.agent_loop.tool_parser import ToolParser

from verl_hdpo.adapters.argument_types import CONVERTERS, value_of

FORMATS = {
    "qwen3_coder": "<tool_call>\n<function=take>\n<parameter=x>\n{}\n</parameter>\n</function>\n</tool_call>",
    "glm": "<tool_call>take\n<arg_key>x</arg_key>\n<arg_value>{}</arg_value>\n</tool_call>",
    "seed": "<seed:tool_call><function=take><parameter=x>{}</parameter></function></seed:tool_call>",
    "minimax": '<minimax:tool_call><invoke name="take"><parameter name="x">{}</parameter></invoke></minimax:tool_call>',
}


@pytest.mark.parametrize("markup", FORMATS)
@pytest.mark.parametrize(
    ("types", "text", "value"),
    [
        ("string", "2024", "2024"),
        ("string", "1.50", "1.50"),
        ("string", "true", "true"),
        ("string", "[1, 2]", "[1, 2]"),
        ("string", '"exact words"', '"exact words"'),
        (["string", "null"], "2024", "2024"),
        (["string", "null"], "'exact words'", "'exact words'"),
        (["null", "string"], "null", None),
        (["string", "array"], '["a", "b"]', ["a", "b"]),
        (["string", "array"], "2024", "2024"),
        (["string", "integer"], "7", 7),
        (["string", "integer"], "7.5", "7.5"),
        ("integer", "7", 7),
        (["integer", "null"], "7", 7),
        (["integer", "null"], "null", None),
        ("integer", "seven", "seven"),
        ("number", "7.5", 7.5),
        ("boolean", "true", True),
        (["boolean", "null"], "False", False),
        ("array", '["a", true]', ["a", True]),
        ("array", "('a', True)", ["a", True]),
        ("object", '{"a": null}', {"a": None}),
        ("object", "{1, 2}", "{1, 2}"),
    ],
)
def test_the_schema_says_what_a_value_is(markup, types, text, value):
    if markup not in ToolParser._registry:
        pytest.skip("this release of verl has no such format")
    got = []

    async def take(x):
        got.append(x)
        return "taken"

    output, _, _ = run_loop([FORMATS[markup].format(text), FINAL], [function_tool(take, types)], format=markup)
    assert counts(output) == {"take": {"executed": 1}}
    assert got == [value] and type(got[0]) is type(value)


def test_verl_s_parsers_have_the_methods_that_are_replaced():
    for markup, method in CONVERTERS.items():
        if markup in ToolParser._registry:
            assert callable(getattr(ToolParser._registry[markup], method))


@given(st.text(), st.sampled_from(["string", "null"]), st.booleans())
def test_a_string_is_never_changed(text, other, reverse):
    types = ["string", other][:: -1 if reverse else 1]
    if "null" not in types or text.lower() != "null":
        assert value_of(text, types) == text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_json_comes_back_as_it_went_in(value):
    kinds = ["array", "boolean", "integer", "null"]
    if not isinstance(value, str):
        assert value_of(json.dumps(value), kinds) == value
