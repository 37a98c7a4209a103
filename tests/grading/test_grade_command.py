"""``verl-hdpo grade`` on a file of answers."""

import json
import re

import pytest
from click.testing import CliRunner

from verl_hdpo.cli.main import main

PAIRS = [
    {"gold": "1/2", "answer": "0.5", "right": True, "kind": "number", "id": 7},
    {"gold": "blue", "answer": "red", "right": False, "kind": "words"},
    {"gold": ["4", "four"], "answer": "\\boxed{4}", "right": True, "kind": "number"},
    {"gold": "5", "answer": "5", "right": False, "kind": "a wrong label"},
    {"gold": "7", "answer": "8"},
]


def run(tmp_path, text, *options):
    (tmp_path / "in.jsonl").write_text(text)
    return CliRunner().invoke(
        main, ["grade", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"), *options]
    )


def test_the_same_lines_come_back_in_order_with_verdict_and_source(tmp_path):
    done = run(tmp_path, "".join(json.dumps(pair) + "\n" for pair in PAIRS))
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in rows] == ["correct", "wrong", "correct", "correct", "wrong"]
    assert all(isinstance(row.pop("source"), str) and row.pop("verdict") for row in rows)
    assert rows == PAIRS
    assert "5 answers: 3 correct, 2 wrong, 0 unknown" in done.output
    assert "agreement with 'right': 3 of 4 (75.0 %)" in done.output
    assert re.search(r"a wrong label +\| +0 of 1 \(0.0 %\)", done.output)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"gold": "1", "answer": "1"}\n{"gold"', "line 2 is not valid JSON"),
        ('{"gold": "1"}\n', "line 1: must be an object with 'gold' and 'answer'"),
        ("[]\n", "line 1: must hold one JSON object per line, found list"),
        ('{"gold": "1", "answer": "1", "right": "yes"}\n', "line 1: 'right' must be true or false, found 'yes'"),
        ('{"gold": "", "answer": "1"}\n', "in.jsonl, line 1: "),
    ],
)
def test_a_line_that_cannot_be_graded_is_named_and_nothing_is_written(tmp_path, text, message):
    done = run(tmp_path, text)
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "out.jsonl").exists()


def test_the_same_counts_as_json(tmp_path):
    done = run(tmp_path, "".join(json.dumps(pair) + "\n" for pair in PAIRS), "--json")
    found = json.loads(done.output)
    assert found["verdicts"] == {"correct": 3, "wrong": 2, "unknown": 0}
    assert found["agreement"] == {"agreed": 3, "labelled": 4}
    assert found["confusion"]["not right"] == {"correct": 1, "wrong": 1, "unknown": 0}
    assert found["kinds"]["a wrong label"] == {"agreed": 0, "labelled": 1}


def test_settings_are_those_of_a_run(tmp_path):
    pair = json.dumps({"gold": "1/2", "answer": "0.5"}) + "\n"
    (tmp_path / "settings.yaml").write_text("check: exact\n")
    done = run(tmp_path, pair, "--settings", str(tmp_path / "settings.yaml"))
    assert "0 correct, 1 wrong" in done.output
    (tmp_path / "settings.yaml").write_text("chekc: exact\n")
    done = run(tmp_path, pair, "--settings", str(tmp_path / "settings.yaml"))
    assert (done.exit_code, "did you mean reward.reward_kwargs.check?" in done.output) == (2, True)


def test_a_file_without_answers_is_refused(tmp_path):
    done = run(tmp_path, "")
    assert done.exit_code == 2 and "in.jsonl has no answers" in done.output


@pytest.mark.parametrize(("content", "told"), [(b"\xff\n", "is not UTF-8 text"), (b"a: [", "is not valid YAML")])
def test_settings_that_cannot_be_read_are_named(tmp_path, content, told):
    (tmp_path / "settings.yaml").write_bytes(content)
    done = run(tmp_path, '{"gold": "1", "answer": "1"}\n', "--settings", str(tmp_path / "settings.yaml"))
    assert done.exit_code == 2 and f"settings.yaml {told}" in done.output
