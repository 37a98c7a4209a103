"""Dependencies point one way: pure modules <- adapters <- (plugin, cli); only the adapters, cpu and cli import verl."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import verl_hdpo

PACKAGE = Path(verl_hdpo.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
HOSTS = ("verl", "ray", "vllm", "tensordict", "transfer_queue", "omegaconf", "hydra", "transformers")
ADAPTERS = ("verl_hdpo.adapters", "verl_hdpo.tools")
OUTER = (*ADAPTERS, "verl_hdpo.cpu", "verl_hdpo.cli", "verl_hdpo.plugin")
MAX_LINES = 400


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


PURE = [name for name in MODULES if not within(name, *OUTER)]


def test_the_package_is_all_here():
    assert {"verl_hdpo.advantages", "verl_hdpo.config", "verl_hdpo.rollouts", "verl_hdpo.estimators"} <= set(PURE)
    assert any(within(name, "verl_hdpo.adapters") for name in MODULES)


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_know_no_host_and_no_adapter(module):
    wrong = sorted(name for name in imports(MODULES[module]) if within(name, *HOSTS, *OUTER))
    assert not wrong, f"{module} is pure, and imports {', '.join(wrong)}; move that part to verl_hdpo/adapters"


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "verl_hdpo.estimators")])
def test_estimators_need_torch_and_nothing_else(module):
    tops = {name.partition(".")[0] for name in imports(MODULES[module])}
    assert tops - set(sys.stdlib_module_names) <= {"torch", "verl_hdpo"}


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, *ADAPTERS)])
def test_adapters_know_neither_cli_nor_cpu_nor_plugin(module):
    wrong = sorted(
        name for name in imports(MODULES[module]) if within(name, "verl_hdpo.cli", "verl_hdpo.cpu", "verl_hdpo.plugin")
    )
    assert not wrong, f"{module} imports {', '.join(wrong)}"


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "verl_hdpo.cpu")])
def test_the_cpu_platform_knows_nothing_of_the_algorithm(module):
    wrong = sorted(
        name
        for name in imports(MODULES[module])
        if within(name, "verl_hdpo") and not within(name, "verl_hdpo.cpu") and name != "verl_hdpo"
    )
    assert not wrong, f"{module} imports {', '.join(wrong)}"


@pytest.mark.parametrize("module", MODULES)
def test_a_file_can_be_read_in_one_sitting(module):
    lines = len(MODULES[module].read_text().splitlines())
    assert lines < MAX_LINES, f"{module} has {lines} lines; split it by concept"


def newly_imported(statement: str, **environment: str) -> set[str]:
    """Top-level packages outside the standard library that ``statement`` imports in a fresh process."""
    code = (
        "import json, sys; before = set(sys.modules); "
        f"{statement}; "
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(json.dumps(sorted(n for n in names if n not in sys.stdlib_module_names and not n.startswith('__'))))"
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
        ("import verl_hdpo.config", {"verl_hdpo"}),
        ("import verl_hdpo.cli.main", {"verl_hdpo", "click", "packaging"}),
    ],
)
def test_what_every_process_pays_is_light(statement, allowed):
    """``import verl`` loads plugin and cpu in every worker and server: neither may bring torch or verl's modules."""
    assert newly_imported(statement) <= allowed
