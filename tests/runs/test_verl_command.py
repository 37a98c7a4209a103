"""A verl command line after ``--``: pasted as it is, read as hydra reads it."""

import pytest
from click.testing import CliRunner

from verl_hdpo.adapters.composed_config import STOCK_CONFIG
from verl_hdpo.cli.main import main
from verl_hdpo.doctor import findings as findings_module

MAIN_PPO = "verl.trainer.main_ppo"


@pytest.fixture
def asked(monkeypatch):
    """What doctor is asked to look at: its config, and its runs by label."""
    found = {}
    monkeypatch.setattr(
        findings_module, "probe", lambda config, runs, doing: found.update(config=config, runs=runs) or []
    )
    return found


@pytest.mark.parametrize(
    ("arguments", "name", "expected"),
    [
        ([], "ppo_trainer", None),
        (["--", "a=1", "+b=2", "~c"], "ppo_trainer", ["a=1", "+b=2", "~c"]),
        (["a=1"], "ppo_trainer", ["a=1"]),
        (["--", "--config-name=ppo_megatron_trainer", "a=1"], "ppo_megatron_trainer", ["a=1"]),
        (["--", "python", "-m", MAIN_PPO, "-cn", "mine", "a=-1"], "mine", ["a=-1"]),
        (
            ["--", "HYDRA_FULL_ERROR=1", "/usr/bin/python3.11", "-u", "-m", MAIN_PPO, "a=x.py"],
            "ppo_trainer",
            ["a=x.py"],
        ),
        (["--", "torchrun", "--nproc_per_node=8", "-m", MAIN_PPO, "a=1"], "ppo_trainer", ["a=1"]),
        (["--", "ray", "job", "submit", "--", "python3", "-m", MAIN_PPO, "a=1"], "ppo_trainer", ["a=1"]),
        (["--", "python3", "/opt/verl/verl/trainer/main_ppo.py", "a=1"], "ppo_trainer", ["a=1"]),
    ],
)
def test_a_verl_command_line_can_be_pasted(asked, arguments, name, expected):
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert result.exit_code == 0, result.output
    assert asked["config"].config_name == name
    assert asked["runs"] == ({} if expected is None else {"": tuple(expected)})


@pytest.mark.parametrize(
    ("started", "instead"),
    [
        (["-m", "verl.experimental.fully_async_policy.fully_async_main"], "verl-hdpo migrate"),
        (["-m", "verl.experimental.one_step_off_policy.main_ppo"], "verl-hdpo migrate"),
        (["-m", "recipe.dapo.main_dapo"], "verl-hdpo migrate"),
        (["-m", "verl.trainer.main_ppo_sync"], "verl-hdpo migrate"),
        (["-m", "my.own.trainer"], f"give the command line of python -m {MAIN_PPO}"),
        (["train.py"], f"give the command line of python -m {MAIN_PPO}"),
    ],
)
@pytest.mark.parametrize("command", [["doctor"], ["compare", "--algos", "grpo", "--dry-run"]])
def test_another_trainer_s_command_line_is_refused_with_what_to_do(command, started, instead):
    result = CliRunner().invoke(main, [*command, "--", "python3", *started, "a=1"])
    assert result.exit_code == 2
    assert f"{started[-1]} is not {MAIN_PPO}, verl's V1 trainer" in result.output.replace("\n", " ")
    assert instead in result.output.replace("\n", " ")


def test_a_command_line_of_verls_without_dashes_before_it():
    pasted = ["python", "-m", MAIN_PPO, "a=1"]
    result = CliRunner().invoke(main, ["compare", "--algos", "grpo", "--dry-run", *pasted])
    assert result.exit_code == 2
    assert f"write -- before the command line of {MAIN_PPO}" in result.output


@pytest.mark.parametrize("path", ["config", str(STOCK_CONFIG)])
def test_a_relative_config_path_starts_where_hydra_has_it_start(asked, path):
    assert CliRunner().invoke(main, ["doctor", "--", f"--config-path={path}", "a=1"]).exit_code == 0
    assert asked["config"].arguments == [f"--config-path={STOCK_CONFIG}"]


def test_a_variable_that_no_shell_filled_in_is_left_to_it(asked):
    CliRunner().invoke(main, ["doctor", "--", "--config-path=$PWD/conf", "a=1"])
    assert asked["config"].arguments == ["--config-path=$PWD/conf"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--multirun", "a=1,2"], "--multirun is an option of hydra's that no run needs; leave it out"),
        (["a=1", "--cfg", "job"], "--cfg is an option of hydra's that no run needs; leave it out"),
        (["python3", "-m", MAIN_PPO, "--cfg=job", "a=1"], "--cfg=job is an option of hydra's"),
        (["a", "=", "1"], "'=' has no key: write key=value, without spaces around ="),
        (["a", "=1"], "'=1' has no key: write key=value"),
    ],
)
@pytest.mark.parametrize("command", [["doctor"], ["migrate"], ["compare", "--algos", "grpo", "--dry-run"]])
def test_words_that_are_no_overrides(command, words, told):
    result = CliRunner().invoke(main, [*command, "--", *words])
    assert result.exit_code == 2 and told in result.output.replace("\n", " ")


@pytest.mark.parametrize("starter", [["torchrun", "--nproc_per_node", "8"], ["accelerate", "launch"], ["deepspeed"]])
def test_a_trainer_that_another_program_starts_is_named(starter):
    for command in ("doctor", "migrate"):
        result = CliRunner().invoke(main, [command, "--", *starter, "-m", "verl.trainer.sft_trainer", "a=1"])
        assert result.exit_code == 2 and "verl.trainer.sft_trainer is" in result.output.replace("\n", " ")
