"""Tools of the owner's own: every command that loads them finds them in the current folder, as ``python -m`` does."""

from __future__ import annotations

import sys

import pytest

from verl_hdpo.adapters.served_tools import load_served_tools
from verl_hdpo.adapters.tool_loading import load_tools
from verl_hdpo.adapters.user_code import class_problems, in_words
from verl_hdpo.settings.tool import ToolConfigError

TOOL = """
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema

class Echo(BaseTool):
    def get_openai_tool_schema(self):
        parameters = {"type": "object", "properties": {}, "required": []}
        function = {"name": "echo", "description": "?", "parameters": parameters}
        return OpenAIFunctionToolSchema.model_validate({"type": "function", "function": function})
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, request):
    """The current folder, with a tool in a module of its own, of which Python knows nothing yet."""
    module = f"echo_tool_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{module}.py").write_text(TOOL)
    (tmp_path / "tools.yaml").write_text(f"tools: [{{class_name: {module}.Echo, config: {{type: native}}}}]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    return tmp_path


LOADERS = {
    "a run": lambda path: [tool.name for tool in load_tools(path)],
    "tool-server": lambda path: [tool.name for tool in load_served_tools(path)[0]],
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("path", ["tools.yaml", "./tools.yaml"])
def test_a_tool_in_the_current_folder_is_found(folder, loader, path):
    assert LOADERS[loader](path) == ["echo"]


@pytest.mark.parametrize("loader", LOADERS)
def test_a_tool_elsewhere_is_missed_with_module_and_folder(folder, loader, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    with pytest.raises(ToolConfigError) as error:
        LOADERS[loader](str(folder / "tools.yaml"))
    assert "there is no module echo_tool_" in str(error.value) and str(elsewhere) in str(error.value)
    assert f"{folder}/tools.yaml: tools[0]: class_name=echo_tool_" in str(error.value)


def test_all_entries_that_are_wrong_are_told(folder):
    (folder / "tools.yaml").write_text("tools: [{class_name: nowhere.A, config: {type: native}}, {class_name: json.B}]")
    with pytest.raises(ToolConfigError) as error:
        load_tools("tools.yaml")
    for part in ("tools[0]: class_name=nowhere.A", "tools[1]: config.type", "tools[1]: class_name=json.B"):
        assert part in str(error.value)


def test_a_module_that_imports_what_is_not_installed(folder):
    (folder / "half_a_module.py").write_text("import nothing_of_that_name")
    (problem,) = class_problems("half_a_module.Tool", "class_name")
    assert "half_a_module imports nothing_of_that_name, which is not installed; pip install it" in problem


def test_an_error_is_told_with_its_causes_and_its_place(folder):
    (folder / "raises.py").write_text(
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('no') from error\n"
    )
    (problem,) = class_problems("raises.Tool", "_target_")
    assert problem == (
        "_target_=raises.Tool: importing raises failed: ValueError: no (raises.py, line 4)\n"
        "because of ZeroDivisionError: division by zero (raises.py, line 2)"
    )


def test_a_cause_that_says_the_same_is_not_told_twice():
    try:
        try:
            raise OSError("the disk is full")
        except OSError as error:
            raise RuntimeError("cannot write: the disk is full") from error
    except RuntimeError as error:
        assert in_words(error).count("the disk is full") == 1
