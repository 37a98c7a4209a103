"""``verl-hdpo compare --config``."""

from __future__ import annotations

import json

import pytest
import trainer_that_logs
import yaml

FILE = {"algos": ["grpo", "hdpo[w_tool=0.5]"], "seeds": [2, 5], "overrides": ["data.train_files=x", "a.b=1"]}


@pytest.fixture
def run_compare(tmp_path, monkeypatch):
    run = trainer_that_logs.command(tmp_path, monkeypatch)

    def with_file(content, *words):
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (tmp_path / "mine.yaml").write_text(text)
        return run("--config", str(tmp_path / "mine.yaml"), "--dry-run", *words)

    return with_file


def planned(done):
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_file_stands_for_the_options(run_compare):
    rows = planned(run_compare(FILE, "--json"))
    assert [row["label"] for row in rows] == [
        "grpo seed 2", "hdpo[w_tool=0.5] seed 2", "grpo seed 5", "hdpo[w_tool=0.5] seed 5",
    ]  # fmt: skip
    assert all({"data.train_files=x", "a.b=1"} <= set(row["command"]) for row in rows)
    assert {row["state"] for row in rows} == {"new"}


def test_the_command_line_wins_and_its_overrides_come_last(run_compare):
    (row,) = planned(run_compare(FILE, "--json", "--seeds", "7,", "--algos", "hdpo", "--", "a.b=2"))
    assert row["label"] == "hdpo seed 7"
    assert row["command"].index("a.b=1") < row["command"].index("a.b=2")


def test_texts_are_taken_as_on_the_command_line(run_compare):
    rows = planned(run_compare({"algos": "grpo,hdpo", "seeds": 2, "config_name": "ppo_megatron_trainer"}, "--json"))
    assert len(rows) == 4 and all("--config-name=ppo_megatron_trainer" in row["command"] for row in rows)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"algo": ["hdpo"]}, "unknown setting mine.yaml.algo; did you mean mine.yaml.algos?"),
        ({"algos": 3}, "mine.yaml.algos must be a list of algorithms, such as [grpo, 'hdpo[w_tool=0.5]'], found 3"),
        ({"algos": "hdpo", "seeds": "many"}, "mine.yaml.seeds must be a number of seeds, or a list of them"),
        ({"algos": "hdpo", "overrides": {"a": 1}}, "mine.yaml.overrides must be a list of texts"),
        ({"algos": "hdpo", "seeds": [1, 1]}, "different numbers"),
        ({"algos": ["hdpa["]}, "--algos: "),
        ({"seeds": 2}, "Missing option '--algos'"),
        ("algos: [", "is not valid YAML"),
        ("- hdpo", "mine.yaml must be a group of settings"),
    ],
)
def test_a_wrong_file_is_told(run_compare, content, told):
    done = run_compare(content)
    assert done.exit_code == 2 and told in " ".join(done.output.split()), done.output
    assert "Traceback" not in done.output
