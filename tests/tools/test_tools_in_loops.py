"""The tools from verl's tool yaml, through ``hdpo_tool_agent`` and verl's own ``tool_agent``."""

import json
import sys
from pathlib import Path

import pytest
from local_service import Answer, serving
from scripted_loop import FINAL, run_loop
from tiny import tiny_tokenizer
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.tools.tool_registry import load_all_tools

from verl_hdpo.adapters.agent_loop import HDPOToolAgentLoop
from verl_hdpo.outcomes.ledger import CALL_STATUSES
from verl_hdpo.tools.images.build import build as build_images
from verl_hdpo.tools.search.index_build import build as build_index
from verl_hdpo.tools.search.passage import Passage

LOOPS = pytest.mark.parametrize("cls", [HDPOToolAgentLoop, ToolAgentLoop], ids=["hdpo_tool_agent", "tool_agent"])
SERVER = str(Path(__file__).with_name("demo_mcp_server.py"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    build_index([Passage("Etna", "Mount Etna is a volcano.", "1")], folder / "index", "english")
    results = {"key": "sample 7", "results": [{"title": "A photo of Etna"}]}
    (folder / "results.jsonl").write_text(json.dumps(results))
    build_images(folder / "results.jsonl", folder / "images.sqlite", max_side=100)
    return folder


def loaded(folder, url="http://127.0.0.1:9/retrieve"):
    (folder / "tools.yaml").write_text(f"""
tools:
  - class_name: verl_hdpo.tools.calculator.CalculatorTool
    config: {{type: native}}
  - class_name: verl_hdpo.tools.text_search.TextSearchTool
    config: {{type: native, provider: {{kind: index, path: {folder}/index}}}}
  - class_name: verl_hdpo.tools.text_search.TextSearchTool
    config: {{type: native, name: search, provider: {{kind: retrieval_server, url: "{url}"}}}}
  - class_name: verl_hdpo.tools.image_search.ImageSearchTool
    config: {{type: native, path: {folder}/images.sqlite}}
  - class_name: verl_hdpo.tools.mcp.MCPTool
    config: {{type: native, tool: look_up, server: {{command: {sys.executable}, args: [{SERVER}]}}}}
""")
    return load_all_tools(str(folder / "tools.yaml"), None)


def call(name, **arguments):
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def run(tools, cls, *calls, sample=None):
    output, server, _ = run_loop(["".join(calls), FINAL], tools, cls, sample, max_tool_response_length=2000)
    return output, tiny_tokenizer().decode(server.prompts[1][len(server.prompts[0]) :])


def counts(output):
    tools = output.extra_fields["tool_ledger"]["tools"]
    return {name: {k: tally[k] for k in CALL_STATUSES if tally[k]} for name, tally in tools.items()}


@LOOPS
def test_answers_reach_the_model(folder, cls):
    sample = {"tools_kwargs": {"image_search": {"create_kwargs": {"key": "sample 7"}}}}
    calls = call("calculator", expression="6*7"), call("text_search", query="volcanoes"), call("image_search")
    output, turn = run(loaded(folder), cls, *calls, sample=sample)
    for answer in ("42", "[1] Etna\nMount Etna is a volcano.", "[1] A photo of Etna (no picture)"):
        assert f"<tool_response>\n{answer}\n</tool_response>" in turn
    if cls is HDPOToolAgentLoop:
        assert counts(output) == {name: {"executed": 1} for name in ("calculator", "text_search", "image_search")}
        assert output.extra_fields["tool_ledger"]["unavailable"] == 0


@LOOPS
def test_the_model_s_mistakes_are_told_to_it_and_count(folder, cls):
    calls = call("calculator", expression="1/0"), call("text_search", q="x"), call("image_search", url="x")
    output, turn = run(loaded(folder), cls, *calls, call("look_up", city="X"))
    for message in (
        "division by zero",
        "unknown argument 'q'",
        "unknown argument 'url'",
        "Error executing tool look_up",
    ):
        assert message in turn
    if cls is HDPOToolAgentLoop:
        failed = ("calculator", "text_search", "image_search", "look_up")
        assert counts(output) == {name: {"failed": 1} for name in failed}
        assert output.extra_fields["tool_ledger"]["unavailable"] == 0


@LOOPS
def test_an_outage_is_no_call(folder, cls):
    with serving(Answer({}, 403)) as (_, url):
        output, turn = run(loaded(folder, url), cls, call("search", query="x"), call("image_search"))
    assert "answered 403" in turn and "neither a key nor an image" in turn
    if cls is HDPOToolAgentLoop:
        assert counts(output) == {} and output.extra_fields["tool_ledger"]["unavailable"] == 2
