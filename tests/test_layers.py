"""Dependencies between folders point one way, and few of them know verl."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import verl_hdpo

PACKAGE = Path(verl_hdpo.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
HOSTS = ("verl", "ray", "vllm", "tensordict", "transfer_queue", "omegaconf", "hydra", "transformers")
ARROWS: dict[str, set[str]] = {
    "algorithm": set(),
    "settings": set(),
    "outcomes": {"algorithm", "settings"},
    "runs": set(),
    "grading": {"settings", "outcomes", "runs"},
    "tools": {"settings", "runs"},
    "adapters": {"algorithm", "outcomes", "grading", "runs", "settings", "tools"},
    "evaluation": {"runs", "adapters", "grading", "outcomes", "settings", "tools"},
    "compare": {"adapters", "algorithm", "evaluation", "runs", "settings"},
    "doctor": {"runs", "adapters", "compare", "grading", "outcomes", "settings", "tools", "plugin"},
    "cpu": set(),
    "cli": {"adapters", "compare", "doctor", "evaluation", "grading", "runs", "settings", "tools"},
    "plugin": {"adapters"},
    "__main__": {"cli"},
}
"""What each folder may import of the others."""
HOSTLESS = ("algorithm", "settings", "outcomes", "grading", "runs", "evaluation.dumps", "evaluation.look")
"""Folders that know nothing of verl and what it brings."""
TOOL_CLASSES = ("calculator", "image_search", "mcp", "python", "remote", "text_search")
PYDANTIC = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
MAX_LINES, MAX_LINES_OF_A_COMMAND = 400, 80


def imports(path: Path) -> set[str]:
    """Every module named in an import statement, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def folder_of(module: str) -> str:
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("folder", ARROWS)
def test_arrows_point_one_way(folder):
    wrong = {
        f"{module} imports {name}"
        for module, path in MODULES.items()
        for name in imports(path)
        if folder_of(module) == folder
        and within(name, "verl_hdpo")
        and folder_of(name) not in ARROWS[folder] | {folder, "", "__version__"}
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_no_arrow_leads_back():
    TopologicalSorter(ARROWS).prepare()


def test_every_folder_has_its_arrows():
    assert {folder_of(module) for module in MODULES} == {*ARROWS, ""}


@pytest.mark.parametrize("folder", HOSTLESS)
def test_folders_that_know_no_host(folder):
    wrong = {
        f"{module} imports {name}"
        for module, path in MODULES.items()
        for name in imports(path)
        if within(module, f"verl_hdpo.{folder}") and within(name, *HOSTS)
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_of_compare_only_the_dashboard_knows_a_host():
    compare = {name: imports(path) for name, path in MODULES.items() if within(name, "verl_hdpo.compare")}
    knowing = [name for name, found in compare.items() if any(within(module, *HOSTS) for module in found)]
    assert knowing == ["verl_hdpo.compare.dashboard"]


def test_of_the_tools_only_their_base_class_knows_a_host():
    """The tool server's client, the searchers and the sandbox serve where verl is not installed."""
    base = "verl_hdpo.tools.base"
    tools = {name: imports(path) for name, path in MODULES.items() if within(name, "verl_hdpo.tools")}
    assert [name for name, found in tools.items() if any(within(one, *HOSTS) for one in found)] == [base]
    classes = {name for name, found in tools.items() if base in found}
    assert classes == {f"verl_hdpo.tools.{name}" for name in TOOL_CLASSES}
    hostless = sorted(set(tools) - classes - {base})
    newly_imported(f"sys.modules.update(dict.fromkeys({HOSTS}))\nimport {', '.join(hostless)}")


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "verl_hdpo.algorithm")])
def test_the_algorithm_needs_torch_and_nothing_else(module):
    tops = {name.partition(".")[0] for name in imports(MODULES[module])}
    assert tops - set(sys.stdlib_module_names) <= {"torch", "verl_hdpo"}


@pytest.mark.parametrize("module", MODULES)
def test_a_file_can_be_read_in_one_sitting(module):
    lines = len(MODULES[module].read_text().splitlines())
    limit = MAX_LINES_OF_A_COMMAND if within(module, "verl_hdpo.cli") else MAX_LINES
    assert lines < limit, f"{module} has {lines} lines; split it by concept"


def newly_imported(statement: str, **environment: str) -> set[str]:
    """Top-level packages outside the standard library that ``statement`` imports in a fresh process."""
    code = (
        "import json, sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(json.dumps(sorted(n for n in names if n not in sys.stdlib_module_names and not n.startswith('_'))))"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("VERL_PLATFORM", "VERL_USE_EXTERNAL_PLUGINS")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**env, **environment}, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import verl_hdpo", {"verl_hdpo"}),
        ("import verl_hdpo.plugin", {"verl_hdpo", "wrapt"}),
        ("import verl_hdpo.cpu", {"verl_hdpo"}),
        ("import verl_hdpo.settings.algorithms", {"verl_hdpo", *PYDANTIC}),
        ("import verl_hdpo.cli.main", {"verl_hdpo", "click", "packaging"}),
    ],
)
def test_what_every_process_pays_is_light(statement, allowed):
    """``import verl`` loads plugin and cpu in every worker and server: neither may bring torch or verl's modules."""
    assert newly_imported(statement) <= allowed
