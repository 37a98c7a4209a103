"""The public forge's workflows and the hooks of pre-commit run what is there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def steps(path):
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_target_that_a_workflow_makes_is_in_the_makefile(path):
    made = {name for step in steps(path) for name in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert made and made <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_test_file_that_a_workflow_names_is_there(path):
    named = {name for step in steps(path) for name in re.findall(r"\btests/\S+", step.get("run", ""))}
    assert all((ROOT / name).exists() for name in named)


def test_the_matrix_is_what_the_package_says_it_supports():
    quick = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["quick"]
    assert quick["strategy"]["matrix"] == {"python": ["3.10", "3.11", "3.12"], "verl": ["0.9.0", "0.9.1"]}


def test_hooks_name_files_that_are_there():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    named = {name for hook in hooks for name in re.findall(r"tests/\S+\.py", hook["entry"])}
    assert named and all((ROOT / name).is_file() for name in named)


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text()
