"""Options refuse a bad value at once: numbers out of bounds, addresses without a scheme, outputs over inputs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from verl_hdpo.cli.main import main
from verl_hdpo.evaluation.benchmarks import metatool
from verl_hdpo.evaluation.benchmarks.templates import Template
from verl_hdpo.runs.outputs import OutputError, check_apart

SIZE = ["size", "--calls-per-rollout", "3", "--gpus"]


def told(*words: object) -> str:
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == 2, done.output
    return done.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([*SIZE, "abc"], "must be a number above 0, found 'abc'"),
        ([*SIZE, "0"], "must be a number above 0, found '0'"),
        ([*SIZE, "nan"], "must be a number above 0, found 'nan'"),
        ([*SIZE, "1", "--judge-share", "2"], "must be a number from 0 to 1, found '2'"),
        ([*SIZE, "1", "--places", "1.5"], "must be a whole number of 1 or more, found '1.5'"),
        (["price", "--algos", "hdpo", "--use", "1"], "must be a number between 0 and 1, found '1'"),
        (["price", "--algos", "hdpo", "-n", "1"], "must be a whole number from 2 to 1024, found '1'"),
        (["eval", "--model", "m", "--samples", "0"], "must be a whole number of 1 or more, found '0'"),
    ],
)
def test_a_number_out_of_bounds(words, wanted):
    assert told(*words).endswith(wanted)


@pytest.mark.parametrize(
    "words",
    [
        ["eval", "--model", "m", "--endpoint"],
        ["curate", __file__, "--out", "x.parquet", "--solver-model", "m", "--solver"],
        ["mcp", "tools", "--url"],
        ["compare", "--algos", "hdpo", "--ray-jobs"],
    ],
)
def test_an_address_without_a_scheme(words):
    assert told(*words, "localhost:9") == f"Error: {words[-1]} must begin with http:// or https://, found localhost:9"


def test_an_unknown_algorithm_is_told_before_verl_is_imported():
    assert told("compare", "--algos", "grpo,hpdo", "--dry-run").startswith(
        "Error: --algos: hpdo is an unknown algorithm;"
    )


@pytest.mark.parametrize("out", ["in.jsonl", "link.jsonl", "folder", "folder/out.jsonl", "."])
def test_an_output_is_no_input(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "in.jsonl").touch()
    (tmp_path / "link.jsonl").hardlink_to(tmp_path / "in.jsonl")
    inputs = [tmp_path / "in.jsonl", tmp_path / "folder"]
    with pytest.raises(OutputError, match=f"--out {out}"):
        check_apart(tmp_path.joinpath(out).relative_to(tmp_path), inputs)
    for apart in ("out.jsonl", "folder/look.html", "folder/eval"):
        check_apart(tmp_path / apart, inputs)


@pytest.mark.parametrize(
    "command",
    [
        ["convert", "rl", "{file}", "--out", "{file}"],
        ["convert", "sft", "{file}", "--out", "{folder}/a.parquet"],
        ["curate", "{file}", "--out", "{file}", "--reexecute"],
        ["grade", "{file}", "--out", "{file}"],
        ["index", "build", "{file}", "--out", "{file}"],
        ["images", "build", "{file}", "--out", "{folder}"],
        ["look", "{file}", "--out", "{file}"],
    ],
)
def test_no_command_writes_over_its_input(tmp_path, command):
    file = tmp_path / "a.bad_rows.jsonl"
    file.write_text(json.dumps({"gold": "1", "answer": "1"}) + "\n")
    before = file.read_bytes()
    line = told(*(word.format(file=file, folder=tmp_path) for word in command))
    assert "is an input of this command" in line or "is a folder that holds the input" in line
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", [["convert", "rl", "{file}", "--out", "{folder}/x.parquet", "--system", "{text}"]])
def test_a_file_that_is_not_text_is_named(tmp_path, command):
    (tmp_path / "a.jsonl").write_text("{}\n")
    (tmp_path / "system.txt").write_bytes(b"a\xff")
    names = {"file": tmp_path / "a.jsonl", "folder": tmp_path, "text": tmp_path / "system.txt"}
    line = told(*(word.format(**names) for word in command))
    assert line == f"Error: {tmp_path}/system.txt is not UTF-8 text: byte 0xff at 1; save it as UTF-8"


@pytest.mark.parametrize("option", ["task", "template"])
def test_a_benchmark_s_file_that_is_not_text_is_named(tmp_path, option):
    file = tmp_path / "file.json"
    file.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"file\.json is not UTF-8 text: byte 0xff at 0"):
        metatool.read_words({"task": file}, 0) if option == "task" else Template.parse(str(file))
