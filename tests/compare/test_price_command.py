"""``verl-hdpo price``: as text, as JSON, of a run's metrics and rollouts, and what it refuses."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from verl_hdpo.cli.main import main
from verl_hdpo.outcomes.sidecar import FOLDER


def run(*words):
    return CliRunner().invoke(main, ["price", *map(str, words)])


def answer(*words):
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def metrics(path, steps):
    path.write_text("".join(json.dumps({"step": step, "data": data}) + "\n" for step, data in enumerate(steps)))
    return path


def test_a_price_for_each_use():
    found = answer("--algos", "priced[price=0.1],gdpo", "--right", 0.7, "--use", 0.2, "--use", 0.6, "-n", 4)
    assert [row["algo"] for row in found] == ["priced[price=0.1]", "tool_gdpo"]
    assert found[0]["prices"] == pytest.approx([10, 10], abs=0.01) and found[1]["prices"] == [None, None]
    assert answer("--algos", "priced[price=0.1]", "--right", 0.7, "--use", 0.2, 0.6, "-n", 4) == found[:1]


def test_as_a_table():
    done = run("--algos", "grpo,gdpo", "--use", 0.5, "-n", 4)
    assert done.output.splitlines() == [
        "| points of accuracy |            u = 0.5 |",
        "|--------------------|--------------------|",
        "| grpo               |                  0 |",
        "| tool_gdpo          | more than it gives |",
    ]  # fmt: skip


def test_a_run_s_metrics_per_data_source(tmp_path):
    """Two steps: of math 20 and 60 % call, right in 50 and 90 % of those: (.2 x .5 + .6 x .9) / .8 = 80 %."""
    steps = [
        {"val-hdpo/math/tool_use_rate": 1.0, "hdpo/tool_use_rate": 0.9, "actor/pg_loss": 0.1},
        {"hdpo/math/tool_use_rate": 0.2, "hdpo/math/accuracy_given_tool": 0.5, "hdpo/math/accuracy_given_no_tool": 0.5,
         "hdpo/web/search/tool_use_rate": 1.0, "hdpo/web/search/accuracy_given_tool": 0.9},
        {"hdpo/math/tool_use_rate": 0.6, "hdpo/math/accuracy_given_tool": 0.9, "hdpo/math/accuracy_given_no_tool": 0.2},
    ]  # fmt: skip
    path = metrics(tmp_path / "run.jsonl", steps)
    (found,) = answer("--algos", "priced[price=0.05]", "--run", path, "-n", 8)
    math, web = found["sources"]
    direct = (0.8 * 0.5 + 0.4 * 0.2) / 1.2
    assert math == {
        "source": "math", "use": pytest.approx(0.4), "right": pytest.approx(0.8), "direct": pytest.approx(direct),
        "size": 8, "gain": pytest.approx(0.8 - direct),
    }  # fmt: skip
    assert web == {"source": "web/search", "use": 1.0, "right": 0.9, "direct": None, "size": 8, "gain": None}
    assert found["prices"] == pytest.approx([5, 5], abs=0.01)
    told = run("--algos", "hdpo", "--run", path, "-n", 8).output
    assert "math: calls in 40 % of rollouts, a call gains 40 points (80 % right with it); 8 rollouts a prompt" in told
    assert "web/search: calls in 100 % of rollouts, what a call gains is not known, right with one in 90 %" in told


def test_a_run_s_rollouts(tmp_path):
    """Verl's dump, with what this package notes beside it: those of unknown outcome leave."""
    (tmp_path / FOLDER).mkdir()
    rows, notes = [], []
    for prompt, source in (("a", "math"), ("b", "web")):
        for number, (acc, calls, known) in enumerate(((1.0, 2, 1), (0.0, 1, 1), (1.0, 0, 1), (1.0, 0, 0))):
            uid = f"{prompt}_{number}_0"
            rows.append({"step": 3, "input": prompt, "output": "x", "score": acc, "uid": uid, "acc": acc,
                         "tool_calls": calls, "outcome_known": known})  # fmt: skip
            notes.append({"uid": uid, "data_source": source, "calls": calls})
    (tmp_path / "3.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (tmp_path / FOLDER / "3.jsonl").write_text("\n".join(map(json.dumps, notes)) + "\n")
    (found,) = answer("--algos", "priced", "--run", tmp_path)
    expected = {"right": 0.5, "direct": 1.0, "use": pytest.approx(2 / 3), "size": 3, "gain": -0.5}
    assert found["sources"] == [{"source": source, **expected} for source in ("math", "web")]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--algos", "hdpa"), "hdpa is not an algorithm of this package; did you mean hdpo?"),
        (("--algos", "hdpo,hdpo"), "hdpo is named twice"),
        (("--algos", "priced[price=-1]"), "algorithm.priced.price must be a finite number >= 0, found -1"),
        (("--algos", "hdpo[w_tol=1]"), "hdpo has no setting w_tol"),
        (("--algos", "hdpo", "--use", "1"), "must be a number between 0 and 1"),
        (("--algos", "hdpo", "-n", "1"), "must be a whole number from 2 to 1024"),
        (("--algos", "hdpo", "--run", "nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_priced_is_told_in_a_line(words, why):
    done = run(*words)
    assert done.exit_code == 2 and why in done.output and "Traceback" not in done.output
    assert "|--" not in done.output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x\n", "line 1 is not valid JSON"),
        ("[1]", "must hold one JSON object per line, found list"),
        ('{"step": 1, "data": {"actor/pg_loss": 1}}', "has no hdpo/ metrics of a training step"),
        ('{"step": 1, "input": "a", "outputs": 1}', "run.jsonl is of no known format"),
        ("", "run.jsonl is empty"),
    ],
)
def test_a_file_that_tells_nothing_is_refused(tmp_path, text, why):
    (tmp_path / "run.jsonl").write_text(text)
    done = run("--algos", "hdpo", "--run", tmp_path / "run.jsonl")
    assert done.exit_code == 2 and why in done.output and "Traceback" not in done.output
