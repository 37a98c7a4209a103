"""Options refuse a bad value at once: numbers out of bounds, addresses without a scheme, outputs over inputs."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from random import random

import pytest
from click.testing import CliRunner

from verl_hdpo.cli.main import main
from verl_hdpo.evaluation.benchmarks import metatool
from verl_hdpo.evaluation.benchmarks.templates import Template
from verl_hdpo.runs.outputs import OutputError, check_apart

COLUMNS = "prompt=question,answer=answer,reward=reward"
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
        (
            ["price", "--algos", "hdpo", "--use", "0.5", "1"],
            "Invalid value for '--use': must be a number between 0 and 1, found '1'",
        ),
        (["price", "--algos", "hdpo", "--use", "0.5", "--run", __file__], "how often it calls; give one of them"),
        ([*SIZE, "1e308", "--peak", "1e308"], "too many to count: check the rates"),
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


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--model", "m", "--served-name", "x"], "--served-name is about a server of yours: name it by --endpoint"),
        (["--model", "m", "--api-key-env", "HOME"], "--api-key-env is about a server of yours: name it by --endpoint"),
        (["--model", "a="], "--model 'a=': write PATH, or LABEL=PATH with a name for the label"),
        (["--model", "=m"], "--model '=m': write PATH, or LABEL=PATH with a name for the label"),
        (["--model", "..=m"], "--model '..=m': write PATH, or LABEL=PATH with a name for the label"),
        (["--model", "m", "--arms", "free,"], "--arms: ''; known: free, without, forced, counterfactual"),
    ],
)
def test_what_eval_is_given_must_mean_something(words, wanted):
    assert told("eval", *words).endswith(wanted)


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


@pytest.mark.parametrize("command", [["look", "{file}"], ["grade", "{file}"], ["convert", "rl", "{file}"]])
def test_no_command_puts_a_file_in_the_place_of_a_pipe(tmp_path, command):
    os.mkfifo(out := tmp_path / "pipe")
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"gold": "1", "answer": "1"}) + "\n")
    assert "is a device or a pipe" in told(*(word.format(file=file) for word in command), "--out", out)
    assert out.is_fifo()


@pytest.mark.parametrize("device", ["/dev/null", "/dev/stdout", "/dev/full"])
def test_a_device_is_no_output(device):
    with pytest.raises(OutputError, match=f"--out {device} is a device or a pipe"):
        check_apart(Path(device), [])


@pytest.mark.skipif(os.access("/proc", os.W_OK), reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_told_first(tmp_path):
    file = tmp_path / "a.jsonl"
    file.touch()
    (tmp_path / "fixed").mkdir(mode=0o500)
    out = tmp_path / "fixed" / "of" / "x.html"
    assert told("look", file, "--out", out).endswith(f"{tmp_path}/fixed may not be written to; name a path elsewhere")


def test_an_output_below_a_file(tmp_path):
    file = tmp_path / "a.jsonl"
    file.touch()
    assert told("look", file, "--out", file / "x.html").endswith(f"{file} is a file, not a folder; name another path")


@pytest.mark.parametrize(
    "command",
    [
        ["convert", "rl", "{file}", "--out", "{folder}/a.parquet"],
        ["look", "{file}", "--columns", COLUMNS, "--out", "{folder}/a.html"],
        ["look", "{file}", "--columns", COLUMNS, "--export", "atif", "--out", "{folder}/a.atif"],
        ["grade", "{file}", "--out", "{folder}/a.out"],
    ],
)
def test_a_full_disk(tmp_path, command):
    """A limit on the size of a file stands for it."""
    (tmp_path / "out").mkdir()
    file = tmp_path / "a.jsonl"
    row = {"question": "q" * 50, "answer": "1", "reward": 1, "gold": "1"}
    file.write_text("".join(json.dumps({**row, "question": f"{at} {random()}"}) + "\n" for at in range(300)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        line = told(*(word.format(file=file, folder=tmp_path / "out") for word in command))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line.startswith("Error: no room to write: ")
    assert not list((tmp_path / "out").glob("*.part")), "nothing half written stays"


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
