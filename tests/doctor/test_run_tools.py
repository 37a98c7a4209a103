"""What doctor says of the tools of a run: they are loaded, created and released."""

from __future__ import annotations

import pytest
from run_findings import MULTI_TURN, ROLLOUT, findings, marked, only, told

TOOLS = """
import asyncio
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl_hdpo.tools.failures import ToolUnavailable

class Tool(BaseTool):
    def get_openai_tool_schema(self):
        parameters = {"type": "object", "properties": {}, "required": []}
        function = {"name": type(self).__name__.lower(), "description": "?", "parameters": parameters}
        return OpenAIFunctionToolSchema.model_validate({"type": "function", "function": function})

class Echo(Tool): pass

class NeedsKey(Tool):
    async def create(self, instance_id=None, **kwargs):
        return kwargs["create_kwargs"]["key"], ToolResponse()

class CannotLetGo(Tool):
    async def release(self, instance_id, **kwargs):
        raise OSError("the disk is gone")

class HalfMade(Tool):
    async def create(self, instance_id=None, **kwargs):
        return "an id alone"

class NotToday(Tool):
    def __init__(self, config, tool_schema):
        raise ValueError("no key in the environment")

class Endless(Tool):
    async def create(self, instance_id=None, **kwargs):
        await asyncio.sleep(600)

class Down(Tool):
    async def create(self, instance_id=None, **kwargs):
        raise ToolUnavailable("the server at host:8700 does not answer")
"""
YAML = f"{MULTI_TURN}.tool_config_path"
FUNCTIONS = f"{MULTI_TURN}.function_tool_path"


@pytest.fixture
def with_tools(run, tmp_path, monkeypatch):
    """``with_tools(*class_names)``: the run with those tools of a module in the current folder."""
    (tmp_path / "tools_of_mine.py").write_text(TOOLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # as for python -m

    def made(*names: str, **overrides) -> dict:
        entries = ", ".join(f"{{class_name: {name}, config: {{type: native}}}}" for name in names)
        (tmp_path / "tools.yaml").write_text(f"tools: [{entries}]")
        return {**run, FUNCTIONS: None, YAML: tmp_path / "tools.yaml", **overrides}

    return made


def test_a_tool_of_a_module_in_the_current_folder(with_tools):
    found = findings(with_tools("tools_of_mine.Echo"))
    assert told(found, "tools") == "echo" and {finding.mark for finding in found} == {"ok"}


WRONG = {
    "tools_of_mine.Eco": "has no Eco; it has CannotLetGo, Down, Echo, Endless",
    "tools_of_yours.Echo": "there is no module tools_of_yours in",
    "Echo": "names no module",
    "collections.OrderedDict": "it has no execute(); name a subclass of verl's BaseTool",
    "verl.tools.gsm8k_tool.Gsm8kTool": "verl has no module verl.tools.gsm8k_tool any more",
    "tools_of_mine.NeedsKey": "needskey cannot be created: KeyError: 'key' (tools_of_mine.py, line",
    "tools_of_mine.CannotLetGo": "cannotletgo cannot be released: OSError: the disk is gone (tools_of_mine.py, line",
    "tools_of_mine.HalfMade": "create() must return (instance id, ToolResponse), and returned 'an id alone'",
    "tools_of_mine.NotToday": "ValueError: no key in the environment (tools_of_mine.py, line",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_tool_that_cannot_be_made_or_let_go_is_named_with_the_cause(with_tools, name):
    finding = only(marked("FAIL", with_tools(name)))
    assert WRONG[name] in finding.found and finding.advice


def test_a_tool_whose_service_is_down_is_warned_of(with_tools):
    assert "down is not available now: the server at" in only(marked("warn", with_tools("tools_of_mine.Down"))).found


def test_a_tool_that_takes_longer_than_a_call_may_is_named(with_tools):
    run = with_tools("tools_of_mine.Endless", **{"+algorithm.hdpo.tool_timeout": 0.5})
    assert "neither created nor released within algorithm.hdpo.tool_timeout=0.5 s" in only(marked("FAIL", run)).found


def test_a_tool_is_created_with_a_row_s_arguments(with_tools, write_rows):
    run = with_tools("tools_of_mine.NeedsKey")
    given = {"extra_info": {"tools_kwargs": {"needskey": {"create_kwargs": {"key": "1"}}}}}
    run |= {"data.train_files": write_rows("train", *[given] * 8), "data.val_files": write_rows("val", given)}
    assert not marked("FAIL", run)
    run["data.val_files"] = write_rows("val", given, {})
    assert "cannot be created without create_kwargs, as for some rows" in only(marked("FAIL", run)).found


def test_two_tools_of_one_name(with_tools, tmp_path):
    twice = with_tools("tools_of_mine.Echo", "tools_of_mine.Echo")
    assert "more than one tool is called echo" in only(marked("FAIL", twice)).found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tools: [{class_name: tools_of_mine.Echo}]", "tools[0]: config.type must be native, found None"),
        ("tools: [{class_name: tools_of_mine.Echo, config: {type: mcp}}]", "must be native, found 'mcp'"),
        ("tools: [echo]", "tools[0]: must be an object with class_name and config, found 'echo'"),
        ("tools: {", "is not valid YAML"),
        (
            "tools: [{class_name: tools_of_mine.Echo, config: {type: native}, tool_schema: {type: function}}]",
            "tools.yaml: OpenAIFunctionToolSchema: function: Field required",
        ),
        ("", "no tools; it must hold a list"),
    ],
)
def test_a_tool_yaml_that_verl_cannot_read(with_tools, tmp_path, text, message):
    run = with_tools("tools_of_mine.Echo")
    (tmp_path / "tools.yaml").write_text(text)
    assert message in only(marked("FAIL", run)).found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name' (broken.py, line 1)"),
        ("import sys\nsys.exit('usage: tools')", "broken.py: it ends the process by sys.exit('usage: tools')"),
        ("x = 1", "no tool in it; decorate functions with @function_tool"),
        (
            "from verl.tools.function_tool import function_tool\n@function_tool\ndef nothing_said(a): return a",
            "docstring",
        ),
    ],
)
def test_a_file_of_function_tools_that_cannot_be_loaded(run, tmp_path, text, message):
    (tmp_path / "broken.py").write_text(text)
    assert message in only(marked("FAIL", {**run, FUNCTIONS: tmp_path / "broken.py"})).found


@pytest.mark.parametrize("key", [YAML, FUNCTIONS])
def test_a_file_of_tools_that_does_not_exist_is_told_once(run, key):
    assert "/no/tools does not exist" in only(marked("FAIL", {**run, key: "/no/tools"})).found


def test_a_tool_that_may_wait_longer_than_a_call_may_take_is_named(run, tmp_path):
    tools = tmp_path / "tools.yaml"
    tools.write_text("tools: [{class_name: verl_hdpo.tools.python.PythonTool, config: {type: native, timeout: 120}}]")
    run |= {YAML: str(tools), f"{ROLLOUT}.prompt_length": 2000}
    text = only(marked("FAIL", run)).found
    assert "a call of python may take" in text and "algorithm.hdpo.tool_timeout is 400 s" in text
    assert not marked("FAIL", {**run, "+algorithm.hdpo.tool_timeout": 5000})
