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


def test_a_guarded_price_is_the_highest_that_is_asked():
    plain, guarded = (run("--algos", f"priced[guard={guard}]", "--use", 0.5, "-n", 4) for guard in ("false", "true"))
    assert "at most" not in plain.output and guarded.output.splitlines()[-1].startswith("with guard=true at most that")
    plain, guarded = answer("--algos", "priced,priced[guard=true]", "--use", 0.5, "-n", 4)
    assert "guarded" not in plain and guarded["guarded"] is True


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
        "size": None, "answer_weight": None, "gain": pytest.approx(0.8 - direct),
    }  # fmt: skip
    assert web == {"source": "web/search", "use": 1.0, "right": 0.9, "direct": None, "size": None,
                   "answer_weight": None, "gain": None}  # fmt: skip
    assert found["prices"] == pytest.approx([5, 5], abs=0.01)
    told = run("--algos", "hdpo", "--run", path, "-n", 8).output
    assert "math: calls in 40 % of rollouts, a call gains 40 points (80 % right with it); 8 rollouts a prompt" in told
    assert "web/search: calls in 100 % of rollouts (priced as 99 %), what a call gains is not known, right" in told


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
    assert answer("--algos", "priced", "--run", tmp_path, "-n", 3, "--right", 0.5, "--answer-weight", 1) == [found]
    expected = {"right": 0.5, "direct": 1.0, "use": pytest.approx(2 / 3), "size": 3, "gain": -0.5, "answer_weight": 1}
    assert found["sources"] == [{"source": source, **expected} for source in ("math", "web")]


def dump(folder, rows):
    """Verl's dump of rollouts, a file per step; of each its step, source, prompt, accuracy and calls."""
    (folder / FOLDER).mkdir()
    for step in {step for step, *_ in rows}:
        ours = [(f"{prompt}_{at}_0", source, prompt, right, calls)
                for at, (one, source, prompt, right, calls) in enumerate(rows) if one == step]  # fmt: skip
        lines = [{"step": step, "input": prompt, "output": "x", "score": right, "uid": uid, "acc": right,
                  "tool_calls": calls, "outcome_known": 1} for uid, _, prompt, right, calls in ours]  # fmt: skip
        notes = [{"uid": uid, "data_source": source, "calls": calls} for uid, source, _, _, calls in ours]
        (folder / f"{step}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        (folder / FOLDER / f"{step}.jsonl").write_text("\n".join(map(json.dumps, notes)) + "\n")
    return folder


def test_of_one_rollout_a_prompt_no_price_is_known(tmp_path):
    path = dump(tmp_path, [(1, "s", f"p{at}", float(at % 2), at % 3) for at in range(6)])
    assert [row["prices"] for row in answer("--algos", "priced,grpo", "--run", path)] == [[None], [None]]
    told = run("--algos", "grpo", "--run", path).output
    assert "| not known |" in told and "1 rollout a prompt, so that nothing is compared" in told


@pytest.mark.parametrize("option", [("--right", 0.4), ("-n", 3), ("--answer-weight", 2)])
def test_what_a_run_tells_cannot_be_told_otherwise(option, tmp_path):
    rows = [(1, "s", prompt, float(calls > 0), calls) for prompt in "ab" for calls in (1, 0)]
    done = run("--algos", "priced", "--run", dump(tmp_path, rows), *option)
    assert done.exit_code == 2 and f"leave {option[0]} out" in done.output and "|--" not in done.output


def test_of_a_run_that_never_calls_it_is_said_what_is_assumed(tmp_path):
    path = metrics(tmp_path / "run.jsonl", [{"hdpo/tool_use_rate": 0, "hdpo/accuracy_given_no_tool": 0.4}])
    told = run("--algos", "hdpo", "--run", path, "--right", 0.6).output
    assert "calls in 0 % of rollouts (priced as 1 %), what a call gains is not known, right without one in 40 %" in told
    assert "(60 % with one is assumed; --right sets it)" in told


def test_a_right_answer_is_worth_what_the_rewards_of_a_dump_show(tmp_path):
    """1 and -1; a setting of priced is in right answers whatever those are worth, unless answer_weight is set."""
    pairs = [("a", 1.0, 1), ("a", -1.0, 0), ("b", 1.0, 0), ("b", -1.0, 1)]
    path = dump(tmp_path, [(1, "s", prompt, right, calls) for prompt, right, calls in pairs])
    rows = answer("--algos", "priced,priced[answer_weight=1],grpo_penalty", "--run", path)
    assert rows[0]["sources"][0]["answer_weight"] == 2
    by_hand = answer("--algos", "grpo_penalty", "--right", 0.5, "--use", 0.5, "-n", 2, "--answer-weight", 2)
    assert rows[0]["prices"] == pytest.approx([10], abs=0.01) and rows[1]["prices"] == pytest.approx([5], abs=0.01)
    assert rows[2]["prices"] == by_hand[0]["prices"]
    assert "a right answer adds 2 to the reward" in run("--algos", "priced", "--run", path).output


def test_the_last_steps_are_those_of_each_source(tmp_path):
    """``rare`` is in the first steps only, and its last 10 count as those of ``often`` do."""
    pair = [(1.0, 1), (0.0, 0)]
    rows = [(step, "often", f"o{step}", *one) for step in range(13, 26) for one in pair]
    rows += [
        (step, "rare", f"r{step}", *one) for step in range(1, 12) for one in (pair if step > 1 else [(0.0, 1)] * 2)
    ]
    (found,) = answer("--algos", "priced", "--run", dump(tmp_path, rows))
    assert {case["source"]: case["right"] for case in found["sources"]} == {"often": 1.0, "rare": 1.0}


def test_steps_that_do_not_tell_how_often_calls_are_made_are_left_out(tmp_path):
    nan, given = float("nan"), "hdpo/accuracy_given_tool"
    steps = [
        {given: 0.1},
        {"hdpo/tool_use_rate": nan, given: 0.1},
        None,
        {"hdpo/tool_use_rate": 0.5, given: 0.6, "hdpo/accuracy_given_no_tool": nan},
        {"hdpo/tool_use_rate": 7, given: "text"},
    ]
    path = metrics(tmp_path / "run.jsonl", steps)
    (found,) = answer("--algos", "priced", "--run", path, "-n", 8)
    assert [(case["use"], case["right"], case["direct"]) for case in found["sources"]] == [(0.5, 0.6, None)]
    done = run("--algos", "priced", "--run", path)
    assert done.exit_code == 0 and "no hdpo/group_size: 16 rollouts a prompt are assumed; -n sets" in done.stderr
    path = metrics(tmp_path / "sized.jsonl", [{**steps[3], "hdpo/group_size": 4}, *steps])
    (found,) = answer("--algos", "priced", "--run", path)
    assert [case["size"] for case in found["sources"]] == [4]
    done = run("--algos", "priced", "--run", path, "-n", 8)
    assert done.exit_code == 2 and "-n 8: " in done.output and "sized.jsonl tells 4; leave -n out" in done.output
    done = run("--algos", "priced", "--run", metrics(tmp_path / "none.jsonl", steps[:3]), "-n", 8)
    assert done.exit_code == 2 and "has no hdpo/ metrics of a training step" in done.output


def test_16_rollouts_and_a_cost_of_1_unless_others_are_given():
    plain = answer("--algos", "hdpo", "--use", 0.5)
    assert plain == answer("--algos", "hdpo", "--use=0.5", "-n", 16, "--cost", 1)
    assert plain != answer("--algos", "hdpo", "--use", 0.5, "-n", 4)
    words = ("--algos", "priced[price=0.1]", "--use", 0.2, 0.5, "-n", 4, "--cost", 3)
    assert answer(*words)[0]["prices"] == pytest.approx([30, 30], abs=0.01)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--algos", "hdpo", "--right", 0.5, 0.9), "'0.9' belongs to no option; only --use takes several numbers"),
        (("--algos", "hdpo", "--use", 0.1, "--right", 0.5, 0.9), "'0.9' belongs to no option"),
        (("--algos", "hdpo,", "priced"), "'priced' belongs to no option"),
        (("--algos", "hdpo,", "priced"), "as in --algos 'hdpo, priced'"),
        (("--algos", "hdpo", "--use", 0.1, 0.2, "x"), "'x' belongs to no option"),
        (("--algos", "hdpo", "--use", 0.1, -0.2), "must be a number between 0 and 1, found '-0.2'"),
        (("--algos", "hdpo", "--cost", -1), "must be a number of 0 or more"),
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
