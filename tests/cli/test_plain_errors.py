"""What a user can put right is told in a line, with status 2; what nobody foresaw keeps its traceback."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from verl_hdpo import __version__
from verl_hdpo.cli.main import main
from verl_hdpo.runs import terminal

RESULTS = {
    "no object": "[]",
    "no JSON": "{",
    "no text": "\udcff",
    "no results": '{"key": "a"}',
    "results of another kind": '{"key": "a", "results": 5}',
    "a picture of another kind": '{"key": "a", "results": [{"title": "t", "image": 5}]}',
    "a name that no file can have": json.dumps({"key": "a", "results": [{"title": "t", "image": "x" * 5000}]}),
    "one in another without end": "[" * 100_000,
}


@pytest.fixture
def told(tmp_path):
    """``told(*arguments)``: the one line of an error with status 2."""

    def run(*arguments: object) -> str:
        done = CliRunner().invoke(main, [*map(str, arguments)])
        assert done.exit_code == 2, done.output
        assert "Traceback" not in done.output
        (line,) = [line for line in done.output.splitlines() if line.startswith("Error: ")]
        return line

    return run


@pytest.mark.parametrize("rows", RESULTS)
def test_rows_of_image_results_that_cannot_be_read(told, tmp_path, rows):
    (tmp_path / "results.jsonl").write_text(RESULTS[rows] + "\n", errors="surrogateescape")
    line = told("images", "build", tmp_path / "results.jsonl", "--out", tmp_path / "out")
    assert "results.jsonl, line 1" in line


@pytest.mark.parametrize(
    "command",
    [
        ["images", "build", "{file}", "--out"],
        ["index", "build", "{file}", "--out"],
        ["compare", "--algos", "hdpo", "--out"],
    ],
)
def test_a_folder_that_cannot_be_made(told, tmp_path, command):
    file = tmp_path / "a.jsonl"
    file.write_text("")
    line = told(*(word.format(file=file) for word in command), file / "x")
    assert f"{file}" in line


def test_a_variable_that_is_not_set(told):
    assert "NOPE is not set" in told("mcp", "tools", "--pass-env", "NOPE", "--", "true")


def test_what_nobody_foresaw_keeps_its_traceback(monkeypatch, tmp_path):
    (tmp_path / "results.jsonl").touch()
    monkeypatch.setattr(terminal, "progress", lambda *given: 1 / 0)
    done = CliRunner().invoke(main, ["images", "build", str(tmp_path / "results.jsonl"), "--out", str(tmp_path / "x")])
    assert isinstance(done.exception, ZeroDivisionError)


def test_the_package_is_a_command():
    done = subprocess.run([sys.executable, "-m", "verl_hdpo", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"verl-hdpo, version {__version__}"
