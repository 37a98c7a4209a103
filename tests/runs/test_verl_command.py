"""A verl command line after ``--``: pasted as it is, read as hydra reads it."""

import pytest
from click.testing import CliRunner

from verl_hdpo.adapters.composed_config import STOCK_CONFIG
from verl_hdpo.cli import doctor as doctor_module
from verl_hdpo.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "name", "expected"),
    [
        ([], "ppo_trainer", None),
        (["--", "a=1", "+b=2", "~c"], "ppo_trainer", ["a=1", "+b=2", "~c"]),
        (["a=1"], "ppo_trainer", ["a=1"]),
        (["--", "--config-name=ppo_megatron_trainer", "a=1"], "ppo_megatron_trainer", ["a=1"]),
        (["--", "python", "-m", "verl.trainer.main_ppo", "-cn", "mine", "a=-1"], "mine", ["a=-1"]),
    ],
)
def test_a_verl_command_line_can_be_pasted(monkeypatch, arguments, name, expected):
    asked = {}
    monkeypatch.setattr(doctor_module, "probe", lambda config, runs: asked.update(config=config, runs=runs) or [])
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert result.exit_code == 0, result.output
    assert asked["config"].config_name == name
    assert asked["runs"] == ({} if expected is None else {"": tuple(expected)})


def test_a_command_line_of_verls_without_dashes_before_it():
    pasted = ["python", "-m", "verl.trainer.main_ppo", "a=1"]
    result = CliRunner().invoke(main, ["compare", "--algos", "grpo", "--dry-run", *pasted])
    assert result.exit_code == 2
    assert "write -- before the command line of verl.trainer.main_ppo" in result.output


@pytest.mark.parametrize("path", ["config", str(STOCK_CONFIG)])
def test_a_relative_config_path_starts_where_hydra_has_it_start(monkeypatch, path):
    asked = []
    monkeypatch.setattr(doctor_module, "probe", lambda config, runs: asked.append(config) or [])
    assert CliRunner().invoke(main, ["doctor", "--", f"--config-path={path}", "a=1"]).exit_code == 0
    assert asked[0].arguments == [f"--config-path={STOCK_CONFIG}"]
