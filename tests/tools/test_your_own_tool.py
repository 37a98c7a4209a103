"""The tools of docs/tools/your_own_tool.md, as they stand there, in both loops."""

import re
from pathlib import Path

import pytest
from scripted_loop import FINAL, run_loop
from tiny import tiny_tokenizer
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.tools.tool_registry import load_all_tools

from verl_hdpo.adapters.agent_loop import HDPOToolAgentLoop

PAGE = Path(__file__).parents[2] / "docs" / "tools" / "your_own_tool.md"
CODE, YAML, CHECKED = re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
CHECKED_YAML = """
tools:
  - class_name: checked_handbook.CheckedHandbookTool
    config: {type: native, path: handbook.txt}
"""
CALL = '<tool_call>\n{"name": "handbook", "arguments": %s}\n</tool_call>'


@pytest.fixture(params=[YAML, CHECKED_YAML], ids=["verl's base class", "this package's"])
def tools(request, tmp_path, monkeypatch):
    (tmp_path / "handbook.py").write_text(CODE)
    (tmp_path / "checked_handbook.py").write_text(CHECKED)
    (tmp_path / "handbook.txt").write_text("Leave is 30 days.\nNotice is 3 months.\n")
    (tmp_path / "tools.yaml").write_text(request.param)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return load_all_tools("tools.yaml", None)


def test_it_has_15_lines():
    assert len(CODE.splitlines()) <= 15 + 2, "15, and two that are empty"


@pytest.mark.parametrize("cls", [HDPOToolAgentLoop, ToolAgentLoop])
def test_it_answers(tools, cls):
    _, server, _ = run_loop([CALL % '{"word": "Notice"}', FINAL], tools, cls)
    assert "<tool_response>\nNotice is 3 months.\n" in tiny_tokenizer().decode(server.prompts[1])


def test_the_two_kinds_of_failure(tools, tmp_path):
    output, _, _ = run_loop([CALL % "{}", FINAL], tools)
    assert output.extra_fields["tool_ledger"]["tools"]["handbook"]["failed"] == 1
    (tmp_path / "handbook.txt").unlink()
    output, _, _ = run_loop([CALL % '{"word": "Notice"}', FINAL], tools)
    assert output.extra_fields["tool_ledger"]["tools"] == {}
    assert output.extra_fields["tool_ledger"]["unavailable"] == 1
