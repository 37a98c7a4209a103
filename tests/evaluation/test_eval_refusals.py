"""``verl-hdpo eval``: what it refuses, and what it says then."""

from __future__ import annotations

import json

import pytest
from scripted_eval import row

pytestmark = pytest.mark.slow

WRONG = {
    "no server": ({"arguments": ["--endpoint", "http://127.0.0.1:9"]}, "no server at http://127.0.0.1:9/v1"),
    "no such model": ({"arguments": ["--served-name", "x"]}, "has no model x; it has scripted"),
    "no tools": ({"tools": None}, "no tools: name them"),
    "a tool yaml that is not there": (
        {"tools": None, "overrides": ["actor_rollout_ref.rollout.multi_turn.tool_config_path=/no/tools.yaml"]},
        "/no/tools.yaml does not exist",
    ),
    "a loop without tools": (
        {"overrides": ["actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent"]},
        "calls no tools",
    ),
    "one of ours that is none": ({"overrides": ["+algorithm.hdpo.w_tols=1"]}, "did you mean"),
    "a reward model": (
        {"overrides": ["reward.reward_model.enable=true"]},
        "no reward model runs beside an evaluation",
    ),
    "no model": ({"arguments": ["--model", "x=/no/model"]}, "cannot load the model /no/model"),
    "no model on the hub": (
        {"arguments": ["--model", "x=a/b/c"]},
        "cannot load the model a/b/c: there is no such folder",
    ),
    "no data": ({"arguments": ["--data", "/no/x.parquet"]}, "/no/x.parquet does not exist"),
    "prompts that are all too long": (
        {"overrides": ["data.filter_overlong_prompts=true", "data.max_prompt_length=1"]},
        "no question is left; data.filter_overlong_prompts leaves out prompts of more than data.max_prompt_length=1",
    ),
    "a template without tools": (
        {"overrides": ["actor_rollout_ref.model.custom_chat_template='{{messages}}'"]},
        "no tool in the prompt: the chat template shows none of plus",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(run_eval, no_hydra, case):
    change, message = WRONG[case]
    done = run_eval(*change.get("arguments", []), **{k: v for k, v in change.items() if k != "arguments"})
    assert done.exit_code == (1 if case in ("no server", "no such model") else 2), done.output
    assert message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{**row("a", 1, 2), "reward_model": {}}], "row 0 has no reward_model.ground_truth"),
        ([row("a", 1, 2), {**row("a", 1, 2), "split": "x"}], "mixed schemas: "),
        ([{k: v for k, v in row("a", 1, 2).items() if k != "prompt"}], "has no chat under 'prompt'"),
        ([{**row("a", 1, 2), "data_source": None}], "no text under 'data_source'"),
        ([{**row("a", 1, 2), "extra_info": {"tool_selection": ["search"]}}], "row 0 has no tool in its prompt"),
        ([], "no rows"),
    ],
)
def test_rows_that_cannot_be_evaluated(run_eval, no_hydra, data, rows, message):
    data.write_text("".join(json.dumps(r) + "\n" for r in rows))
    done = run_eval()
    assert done.exit_code == 2, done.output
    assert message in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arms", "without"], "must have free"),
        (["--arms", "free,other"], "--arms: 'other'"),
        (["--model", "a", "--model", "b", "--endpoint", "http://x"], "give one for each"),
        (
            ["--model", "x/a", "--model", "y/a", "--endpoint", "http://x", "--endpoint", "http://y"],
            "two models are called a",
        ),
    ],
)
def test_a_command_line_that_makes_no_sense(run_eval, arguments, message):
    done = run_eval(*arguments)
    assert (done.exit_code, message in done.output) == (2, True), done.output


WRONG_REWARDS = {
    "a text": ("return 'yes'", "hdpo", "found {'score': 'yes'}"),
    "a text, and verl's own manager": ("return 'yes'", "naive", "unable to parse string as a number"),
    "no score, and verl's own manager": ("return {'acc': 1}", "naive", "KeyError: 'score'"),
    "a mistake": ("return 1 / 0", "naive", "ZeroDivisionError: division by zero (mine.py, line 2)"),
}


@pytest.mark.parametrize("case", WRONG_REWARDS)
def test_a_reward_function_that_returns_no_reward_is_told(run_eval, no_hydra, tmp_path, case):
    body, manager, message = WRONG_REWARDS[case]
    (tmp_path / "mine.py").write_text(f"def compute_score(**kwargs):\n    {body}\n")
    reward = [f"reward.custom_reward_function.path={tmp_path / 'mine.py'}", f"reward.reward_manager.name={manager}"]
    done = run_eval("--arms", "free", overrides=reward)
    assert (done.exit_code, message in done.output) == (2, True), done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def compute_score(:", "(mine.py, line 1)"),
        ("import nothing_there", "No module named 'nothing_there'"),
        ("x = 1", "compute_score"),
    ],
)
def test_a_reward_file_that_cannot_be_loaded_is_told(run_eval, no_hydra, tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    done = run_eval(overrides=[f"reward.custom_reward_function.path={tmp_path / 'mine.py'}"])
    assert (done.exit_code, message in done.output) == (2, True), done.output


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_loaded(run_eval, no_hydra, data):
    done = run_eval("--out", str(data / "x"))
    assert done.exit_code == 2
    assert f"Error: --out {data / 'x'}: {data} is a file, not a folder; name another path" in done.output


def test_greedy_answers_are_not_asked_for_twice(run_eval, no_hydra):
    done = run_eval("-n", "2")
    assert done.exit_code == 2, done.output
    assert "all 2 answers to a question are the same" in done.output


def test_a_setting_that_is_none_is_said(run_eval):
    done = run_eval(overrides=["data.nothing=1", "data.max_prompt_lenght=10"])
    assert done.exit_code == 2, done.output
    assert "data.nothing: verl" in done.output and "did you mean data.max_prompt_length?" in done.output
    assert "Traceback" not in done.output
