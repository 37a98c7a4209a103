"""Calls that verl's parsers leave out are calls that failed, and the model may try again."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_loop import FINAL, call, counts, echo, function_tool, run_loop, told
from verl.experimental.agent_loop.tool_parser import ToolParser

from verl_hdpo.adapters.unreadable_calls import MARKUPS
from verl_hdpo.outcomes.ledger import LOST_KEY, UNKNOWN_TOOL, ToolLedger

JSON = {
    "invalid": ('{"name": "echo", "arguments": {"x": 1}', "not valid JSON: Expecting ',' delimiter"),
    "single quotes": ("{'name': 'echo', 'arguments': {}}", "not valid JSON: Expecting property name"),
    "no arguments": ('{"name": "echo"}', "the key 'arguments' is missing; found 'name'"),
    "parameters": ('{"name": "echo", "parameters": {}}', "the key 'arguments' is missing; found 'name', 'parameters'"),
    "no name": ('{"arguments": {}}', "the key 'name' is missing"),
    "empty object": ("{}", "the key 'name' is missing; found none"),
    "a name that is no text": ('{"name": 3, "arguments": {}}', "'name' must be a text"),
    "a raw line break": ('{"name": "echo", "arguments": {"x": "a\nb"}}', "a line break, or another control character"),
    "two objects": (
        '{"name": "echo", "arguments": {}}\n{"name": "echo", "arguments": {}}',
        "two JSON objects in one tag",
    ),
    "trailing words": ('{"name": "echo", "arguments": {}} please', "not valid JSON: Extra data"),
    "a list": ("[]", "not a JSON object but list"),
    "a number of 5000 digits": ('{"name": "echo", "arguments": {"x": ' + "1" * 5000 + "}}", "not valid JSON: Exceeds"),
    "prose": ("echo(1)", "not valid JSON"),
}


def failed(output):
    return sum(tally.get("failed", 0) for tally in counts(output).values())


@pytest.mark.parametrize(("block", "problem"), JSON.values(), ids=JSON)
def test_what_was_wrong_is_told_and_the_next_try_runs(block, problem):
    texts = [f"<tool_call>{block}</tool_call>", call("echo"), FINAL]
    output, server, _ = run_loop(texts, [function_tool(echo)], response_length=9000)
    assert counts(output).pop(UNKNOWN_TOOL, {}) | counts(output)["echo"] == {"failed": 1, "executed": 1}
    assert output.extra_fields["tool_ledger"]["rounds"] == 2
    first, second = told(server)
    assert problem in first and "Write {" in first
    assert second == "echo 1"


def test_a_tag_that_is_not_closed_is_a_call_only_where_a_call_begins():
    tools = [function_tool(echo)]
    output, server, _ = run_loop(['<tool_call>{"name": "echo", "arguments": {"x": "1"}}', FINAL], tools)
    assert counts(output) == {"echo": {"failed": 1}} and "closing tag is missing" in told(server)[0]
    output, server, _ = run_loop(["No need of a <tool_call> here. " + FINAL], tools)
    assert counts(output) == {} and len(server.prompts) == 1


def test_quoting_the_instructions_is_no_call():
    output, server, _ = run_loop(["within <tool_call></tool_call> tags, or <tool_call>\n</tool_call>. " + FINAL], [])
    assert counts(output) == {} and len(server.prompts) == 1


def test_no_call_that_verl_reads_loses_its_place():
    bad = '<tool_call>{"name": "echo"}</tool_call>'
    output, server, _ = run_loop([bad + call("echo"), FINAL], [function_tool(echo)], max_parallel_calls=1)
    assert counts(output) == {"echo": {"executed": 1, "dropped": 1}} and told(server) == ["echo 1"]


@pytest.mark.parametrize(
    "limit", [{"max_assistant_turns": 1}, {"hdpo": {"max_tool_calls": 0}}, {"response_length": 19}]
)
def test_over_a_limit_it_is_dropped_like_any_other(limit):
    output, _, _ = run_loop(['<tool_call>{"name": "echo"}</tool_call>', FINAL], [function_tool(echo)], **limit)
    assert counts(output) == {"echo": {"dropped": 1}}


def test_a_cut_off_call_is_none():
    output, _, _ = run_loop(['<tool_call>{"name": "echo", "arguments": {"x": "'], [], response_length=20)
    assert counts(output) == {}


GOOD_AND_BAD = {
    "qwen3_coder": (
        "<tool_call>\n<function=echo>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>",
        ["<tool_call>\n<function=echo\n</function>\n</tool_call>", "<tool_call>echo 1</tool_call>"],
    ),
    "glm": (
        "<tool_call>echo\n<arg_key>x</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
        ["<tool_call>echo\n<arg_key>x</arg_key>\n<arg_value>1</arg_value>\n"],
    ),
    "seed": (
        "<seed:tool_call><function=echo><parameter=x>1</parameter></function></seed:tool_call>",
        ["<seed:tool_call>echo(1)</seed:tool_call>", "<seed:tool_call><function=echo><parameter=x>1</seed:tool_call>"],
    ),
    "minimax": (
        '<minimax:tool_call><invoke name="echo"><parameter name="x">1</parameter></invoke></minimax:tool_call>',
        ["<minimax:tool_call><invoke name=echo></invoke></minimax:tool_call>", "<minimax:tool_call><invoke"],
    ),
    "kimi": (
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.echo:0<|tool_call_argument_begin|>{"x": "1"}'
        "<|tool_call_end|><|tool_calls_section_end|>",
        ["<|tool_calls_section_begin|><|tool_call_begin|>echo {}<|tool_call_end|><|tool_calls_section_end|>"],
    ),
    "deepseek_v4": (
        '<｜DSML｜tool_calls><｜DSML｜invoke name="echo">'
        '<｜DSML｜parameter name="x" string="true">1</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜tool_calls>',
        ["<｜DSML｜tool_calls><｜DSML｜invoke name=echo></｜DSML｜invoke></｜DSML｜tool_calls>"],
    ),
    "gemma4": (
        '<|tool_call>call:echo{x:<|"|>1<|"|>}<tool_call|>',
        ["<|tool_call>call:echo(1)<tool_call|>", "<|tool_call>call:echo{x:1}"],
    ),
    "gpt-oss": (
        "<|channel|>analysis<|message|>I call <|call|> it.<|end|>"
        '<|start|>assistant<|channel|>commentary to=functions.echo <|constrain|>json<|message|>{"x": "1"}<|call|>',
        ['<|start|>assistant<|channel|>commentary to=functions.echo <|message|>{"x": "1"}<|call|>'],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("markup", "good", "bad"), [(k, good, b) for k, (good, bad) in GOOD_AND_BAD.items() for b in bad]
)
def test_every_format_s_unreadable_calls_fail(markup, good, bad):
    if markup not in ToolParser._registry:
        pytest.skip("this release of verl has no such format")
    tools = [function_tool(echo)]
    output, server, _ = run_loop([good, FINAL], tools, format=markup)
    assert counts(output) == {"echo": {"executed": 1}} and told(server) == ["echo 1"]
    output, server, _ = run_loop([bad, good, FINAL], tools, format=markup)
    assert failed(output) == 1 and counts(output)["echo"]["executed"] == 1
    assert "could not be read" in told(server)[0] and told(server)[1] == "echo 1"


@pytest.mark.parametrize("x", ["1" * 5000, "[" * 9000 + "]" * 9000], ids=["too long a number", "too deep"])
@pytest.mark.parametrize("name", ToolParser._registry)
def test_what_python_cannot_read_for_its_size_loses_no_rollout(name, x):
    """Else a model could leave the loss by writing it."""
    good = GOOD_AND_BAD[name][0] if name in GOOD_AND_BAD else call("echo")
    text = re.sub(r'"1"|\b1\b', x, good)
    output, _, _ = run_loop([text, FINAL], [function_tool(echo)], format=name, response_length=99_000)
    assert not output.extra_fields[LOST_KEY]
    assert sum(sum(tally.values()) for tally in counts(output).values()) == 1


def test_arguments_that_are_no_json_are_a_failed_call():
    """The parser of gpt-oss leaves them to the loop."""
    good = GOOD_AND_BAD["gpt-oss"][0]
    output, _, _ = run_loop([good.replace('{"x": "1"}', "{x: "), FINAL], [function_tool(echo)], format="gpt-oss")
    assert counts(output) == {"echo": {"failed": 1}}


def test_every_format_of_verl_s_is_known():
    assert set(ToolParser._registry) <= set(MARKUPS), "say in MARKUPS how the new format writes calls"


blocks = st.sampled_from([block for block, _ in JSON.values()]) | st.text(max_size=12)
calls = st.builds(lambda x: json.dumps({"name": "echo", "arguments": {"x": x}}), st.text(max_size=5)) | blocks


@settings(max_examples=40, deadline=None)
@given(st.lists(calls.filter(lambda block: block.strip() and "tool_call" not in block), min_size=1, max_size=4))
def test_each_block_is_in_the_ledger_once(blocks):
    text = " ".join(f"<tool_call>{block}</tool_call>" for block in blocks)
    output, _, _ = run_loop([text, FINAL], [function_tool(echo)], max_parallel_calls=3)
    assert ToolLedger.from_dict(output.extra_fields["tool_ledger"]).total("attempted") == len(blocks)
