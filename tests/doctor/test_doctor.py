"""``verl-hdpo doctor``: what it finds, and what it tells the user to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from composed import without_hydra
from tiny import tiny_tokenizer

from verl_hdpo import __version__
from verl_hdpo.cli import doctor as doctor_module
from verl_hdpo.cli.main import main
from verl_hdpo.doctor import registrations, run_config
from verl_hdpo.doctor.run_config import check_composed
from verl_hdpo.doctor.run_files import first_row
from verl_hdpo.runs.finding import Finding, report, verdict
from verl_hdpo.runs.verl_command import VerlConfig

ROW = {
    "data_source": "toy",
    "prompt": [{"role": "user", "content": "2 + 2?"}],
    "reward_model": {"style": "rule", "ground_truth": "4"},
}
TOOLS = '''
from verl.tools.function_tool import function_tool

@function_tool()
def add(a: int, b: int) -> str:
    """Add two numbers.

    Args:
        a: the one
        b: the other
    """
    return str(a + b)
'''


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """One file for all runs here: verl keeps the function tools of a process in one registry."""
    path = tmp_path_factory.mktemp("tools") / "tools.py"
    path.write_text(TOOLS)
    return path


@pytest.fixture
def run(tmp_path, tools):
    """Overrides of a run that is complete, by name: change or drop one to see what doctor says."""
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW] * 8), tmp_path / "train.parquet")
    (tmp_path / "val.jsonl").write_text(json.dumps(ROW) + "\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "reward.py").write_text("def compute_score(**kwargs):\n    return 1.0\n")
    rollout = "actor_rollout_ref.rollout"
    return {
        "algorithm.adv_estimator": "hdpo",
        f"{rollout}.n": 4,
        "actor_rollout_ref.actor.use_dynamic_bsz": "true",
        f"{rollout}.agent.default_agent_loop": "hdpo_tool_agent",
        f"{rollout}.multi_turn.function_tool_path": tools,
        "reward.reward_manager.name": "hdpo",
        "reward.custom_reward_function.path": tmp_path / "reward.py",
        "data.train_files": tmp_path / "train.parquet",
        "data.val_files": tmp_path / "val.jsonl",
        "data.train_batch_size": 8,
        "actor_rollout_ref.model.path": tmp_path / "model",
        "actor_rollout_ref.actor.ppo_mini_batch_size": 8,
        "+algorithm.hdpo.w_tool": 0.1,
    }


def overrides(run: dict) -> list[str]:
    return [f"{key}={value}" for key, value in run.items()]


def composed_findings(run: dict, config_name: str = "ppo_trainer", config_dir=None) -> dict[str, Finding]:
    """The last finding on each subject."""
    return {f.subject: f for f in check_composed(config_name, None, config_dir, overrides(run))}


def findings(run: dict) -> dict[str, Finding]:
    """``composed_findings`` without hydra, for overrides that it accepts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_config, "compose", without_hydra)
        return composed_findings(run)


def failed(run: dict) -> dict[str, Finding]:
    return {subject: finding for subject, finding in findings(run).items() if finding.mark == "FAIL"}


@pytest.mark.parametrize("config_name", ["ppo_trainer", "ppo_megatron_trainer"])
def test_a_complete_run_passes_and_says_which_algorithm_it_is(run, config_name):
    found = composed_findings(run, config_name)
    assert {finding.mark for finding in found.values()} == {"ok"}
    assert found["algorithm"].found == (
        "HDPO: w_acc=1, w_tool=0.1, combine=loss, tool_loss_norm=all, advantages over std, T=attempted calls, "
        "correct if acc > 0.5"
    )
    assert found["tools"].found == "add"
    assert found["reward function"].found.endswith("reward.py: compute_score")
    assert found["data.train_files"].found.endswith("train.parquet: 8 rows, data_source 'toy'")


def test_a_rival_is_named_with_its_settings(run):
    run = {**run, "algorithm.adv_estimator": "grpo_penalty", "+algorithm.grpo_penalty.gated": "true"}
    run["+algorithm.hdpo.tool_costs"] = "{add: 2.5}"
    assert findings(run)["algorithm"].found == (
        "grpo_penalty: a=0.15, form=inverse, gated=True, advantages over std, T=attempted calls, add costs 2.5, "
        "correct if acc > 0.5"
    )


def test_an_algorithm_that_nobody_has_is_refused_with_those_there_are(run):
    found = failed({**run, "algorithm.adv_estimator": "hpdo"})["algorithm"]
    assert found.found == "algorithm.adv_estimator=hpdo is not registered"
    assert "hdpo" in found.advice[0] and "grpo" in found.advice[0]


def test_verls_gdpo_is_pointed_to_the_one_that_runs(run):
    found = findings({**run, "algorithm.adv_estimator": "gdpo"})["algorithm"]
    assert (found.mark, found.found) == ("warn", "stock gdpo: HDPO not chosen")
    assert "algorithm.adv_estimator=tool_gdpo" in found.advice[0]


def test_a_run_without_hdpo_is_told_so(run):
    del run["+algorithm.hdpo.w_tool"]
    found = findings({**run, "algorithm.adv_estimator": "grpo"})["algorithm"]
    assert (found.mark, found.found) == ("warn", "stock grpo: HDPO not chosen")


def test_settings_that_have_no_effect_are_warned_of(run):
    found = findings({**run, "algorithm.adv_estimator": "grpo"})
    assert found["settings"].mark == "warn"
    assert "algorithm.hdpo is set, but algorithm.adv_estimator=grpo makes no use of it" in found["settings"].found


def test_observing_is_said(run):
    del run["+algorithm.hdpo.w_tool"]
    run = {**run, "algorithm.adv_estimator": "grpo", "+algorithm.hdpo.observe": "true"}
    assert findings(run)["algorithm"].found == "stock grpo; HDPO observes only (hdpo/ metrics)"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"algorithm.nothing": 1}, "algorithm.nothing"),
        ({"algorithm.adv_estimator": "[hdpo"}, "no viable alternative at input '[hdpo'"),
    ],
)
def test_what_hydra_refuses_is_named(run, change, text):
    (found,) = composed_findings({**run, **change}).values()
    assert (found.subject, found.mark) == ("config", "FAIL")
    assert text in found.found
    assert "Traceback" not in found.found


CONFIGS = {
    "interpolation": ({"trainer.project_name": "${nowhere}"}, "config", "nowhere"),
    "hdpo's check": ({"actor_rollout_ref.rollout.n": 1}, "validate_config", "use 2 or more"),
    "hdpo's setting": ({"+algorithm.hdpo.w_tols": 1}, "validate_config", "did you mean algorithm.hdpo.w_tool?"),
    "verl's check": (
        {"actor_rollout_ref.rollout.val_kwargs.do_sample": "true", "actor_rollout_ref.rollout.temperature": 0},
        "validate_config",
        "validation gen temperature should be greater than 0",
    ),
    "agent loop": (
        {"actor_rollout_ref.rollout.agent.default_agent_loop": "tool_agnt"},
        "agent loop",
        "default_agent_loop=tool_agnt is not registered",
    ),
    "agent loop without spans": (
        {"actor_rollout_ref.rollout.agent.default_agent_loop": "tool_agent"},
        "reward manager",
        "which tokens the model wrote",
    ),
    "reward manager": ({"reward.reward_manager.name": "hdpoo"}, "reward manager", "Unknown reward manager: hdpoo"),
    "legacy reward": (
        {"custom_reward_function.path": "reward.py"},
        "custom_reward_function.path",
        "does not read this legacy setting",
    ),
    "no data": ({"data.train_files": "/no/train.parquet"}, "data.train_files", "/no/train.parquet does not exist"),
    "few rows": ({"data.train_batch_size": 16}, "data.train_files", "8 rows do not fill one batch"),
    "no model": ({"actor_rollout_ref.model.path": "/no/model"}, "model", "/no/model does not exist"),
    "no tools": (
        {"actor_rollout_ref.rollout.multi_turn.function_tool_path": "/no/tools.py"},
        "tools",
        "/no/tools.py",
    ),
    "a template without tools": (
        {"actor_rollout_ref.model.custom_chat_template": "'{{messages}}'"},
        "prompt",
        "shows none of add, so the model cannot know of them",
    ),
    "cost of no tool": (
        {"+algorithm.hdpo.tool_costs": "{subtract: 3}"},
        "tools",
        "algorithm.hdpo.tool_costs names subtract, and the tools are add",
    ),
    "no reward function": ({"reward.custom_reward_function.path": "/no/reward.py"}, "reward function", "/no/reward.py"),
    "another function": ({"reward.custom_reward_function.name": "score"}, "reward function", "score"),
}


def test_a_tool_that_may_wait_longer_than_a_call_may_take_is_named(run, tmp_path):
    tools = tmp_path / "tools.yaml"
    tools.write_text("tools: [{class_name: verl_hdpo.tools.python.PythonTool, config: {type: native, timeout: 120}}]")
    found = failed({**run, "actor_rollout_ref.rollout.multi_turn.tool_config_path": str(tools)})
    assert "a call of python may take 422 s" in found["tools"].found
    assert "tools" not in failed({**run, "+algorithm.hdpo.tool_timeout": 500})


@pytest.mark.parametrize("case", CONFIGS)
def test_what_stands_in_the_way_is_named(run, case):
    change, subject, text = CONFIGS[case]
    found = failed({**run, **change})
    assert subject in found, found
    assert text in found[subject].found
    assert "Traceback" not in found[subject].found


ROWS = {
    "prompt": ("no chat under 'prompt'", "must be a list of messages"),
    "data_source": ("no string under 'data_source'", "metrics are per source"),
    "reward_model": ("no reward_model.ground_truth", "add the column reward_model"),
}


def test_every_row_of_a_small_file_is_looked_at(run, tmp_path):
    (tmp_path / "val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (ROW, {**ROW, "reward_model": {}})))
    assert "row 1 has no reward_model.ground_truth" in failed(run)["data.val_files"].found
    (tmp_path / "val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (ROW, {**ROW, "split": "x"})))
    mixed = findings(run)["data.val_files"]
    assert mixed.mark == "warn" and "mixed schemas" in mixed.found and "split" in mixed.found


@pytest.mark.parametrize("column", ROWS)
def test_a_missing_column_is_named_with_those_that_are_there(run, tmp_path, column):
    row = {key: value for key, value in ROW.items() if key != column} | {"answer": "4"}
    (tmp_path / "val.jsonl").write_text(json.dumps(row))
    finding = failed(run)["data.val_files"]
    text, advice = ROWS[column]
    assert text in finding.found
    assert "answer" in finding.found
    assert advice in finding.advice[0]


def test_a_row_with_its_own_agent_is_warned_of(run, tmp_path):
    (tmp_path / "val.jsonl").write_text(json.dumps({**ROW, "agent_name": "tool_agent"}))
    finding = findings(run)["data.val_files"]
    assert finding.mark == "warn"
    assert "agent_name=tool_agent wins over default_agent_loop=hdpo_tool_agent" in finding.found


def test_a_tool_file_that_raises_is_shown_with_its_error(run, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    run["actor_rollout_ref.rollout.multi_turn.function_tool_path"] = tmp_path / "broken.py"
    assert "No module named 'nothing_of_that_name'" in failed(run)["tools"].found


@pytest.mark.parametrize("files", ["null", "[]"])
def test_a_run_without_data_is_told_so(run, files):
    found = check_composed("ppo_trainer", None, None, overrides({**run, "data.train_files": files}))
    assert not any("Traceback" in finding.found for finding in found)


def test_a_name_on_the_hub_is_not_looked_up(run):
    found = findings({**run, "actor_rollout_ref.model.path": "Qwen/Qwen3-8B"})["model"]
    assert (found.mark, found.found.startswith("Qwen/Qwen3-8B: taken as a name on the hub")) == ("ok", True)


def test_a_config_of_one_s_own(run, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text("defaults: [ppo_trainer, _self_]\nalgorithm: {hdpo: {w_tool: 0.2}}\n")
    del run["+algorithm.hdpo.w_tool"]
    found = composed_findings(run, "mine", str(tmp_path / "conf"))
    assert "w_tool=0.2" in found["algorithm"].found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps([ROW, ROW])),
        ("a.jsonl", json.dumps(ROW) + "\n" + json.dumps(ROW)),
        ("a.jsonl", json.dumps(ROW) + "\n" + json.dumps({"split": "a\u2028b"}, ensure_ascii=False)),
    ],
)
def test_json_is_read_as_a_list_and_as_lines(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert first_row(tmp_path / name) == (2, ROW)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a,b", "neither .parquet nor .json nor .jsonl"),
        ("a.jsonl", "", "has no rows"),
        ("a.json", "{", "cannot be read"),
        ("a.parquet", "x", "cannot be read"),
    ],
)
def test_a_file_that_verl_cannot_read(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(Exception, match=message):
        first_row(tmp_path / name)


def test_the_report_is_aligned_and_ends_with_a_verdict():
    found = [
        Finding("A", "ok", "one", "1"),
        Finding("A", "FAIL", "three", "not 3\nbut 4", ("do this", "or that")),
        Finding("B", "warn", "x", ""),
    ]
    assert "\n".join(report(found)) == (
        "\nA\n"
        "  ok    one    1\n"
        "  FAIL  three  not 3\n"
        "               but 4\n"
        "               -> do this\n"
        "               -> or that\n"
        "\nB\n"
        "  warn  x"
    )
    assert verdict(found) == "1 problem, 1 warning."
    assert verdict(found[:1]) == "Everything looks right."
    assert verdict(found[2:]) == "1 warning; nothing stands in the way of a run."


def test_help_and_version_are_quick_and_complete():
    runner = CliRunner()
    assert runner.invoke(main, ["--version"]).output == f"verl-hdpo, version {__version__}\n"
    assert "doctor" in runner.invoke(main, ["--help"]).output
    text = runner.invoke(main, ["doctor", "--help"]).output
    for part in ("--config-name", "--config-path", "--config-dir", "+algorithm.hdpo.w_tool=0.1", "Exit status"):
        assert part in text


def doctor(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from verl_hdpo.cli.main import main; main()", "doctor", *arguments]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)


@pytest.mark.slow
def test_the_command_on_a_complete_run(run):
    done = doctor("--", *overrides(run))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for part in registrations.REGISTERED:
        assert f"  ok    {part} " in done.stdout
    assert "HDPO: w_acc=1, w_tool=0.1" in done.stdout


@pytest.mark.slow
def test_the_command_where_the_plugin_is_turned_off(run):
    done = doctor("--", *overrides(run), VERL_USE_EXTERNAL_PLUGINS="none")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "did not load the plugin" in done.stdout
    assert "unset VERL_USE_EXTERNAL_PLUGINS" in done.stdout
    assert "\nRun\n" not in done.stdout, "nothing can be said about a run"


def test_a_process_that_dies_is_reported(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("import os, sys; print('as broken packages do', file=sys.stderr); os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    *_, last = doctor_module.probe(VerlConfig(), {})
    assert last.mark == "FAIL"
    assert "ended with status 3" in last.found
    assert "as broken packages do" in last.found
