"""Which of verl's trainers host this package, as its own table has it, and what the others are told."""

import subprocess
import sys
from pathlib import Path

import pytest
import verl
from composed import FOR_SEPARATE_ASYNC, composed

from verl_hdpo.adapters.check import check_run
from verl_hdpo.adapters.hosts import FULLY_ASYNC, HOSTS, ONE_STEP_OFF, host_of, hosts_table
from verl_hdpo.settings.group import SettingsError

ENGINES_PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
RUN = (
    "algorithm.adv_estimator=hdpo",
    "actor_rollout_ref.rollout.n=4",
    *FOR_SEPARATE_ASYNC,
)
OF_CONFIGS = {ONE_STEP_OFF: "+rollout.nnodes=1", FULLY_ASYNC: "+async_training.partial_rollout=true"}
"""What tells the configs of launchers other than main_ppo."""


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_a_run_is_taken_or_refused_as_the_table_says(host):
    config = composed(*RUN, OF_CONFIGS.get(host, host.chosen_by))
    assert host_of(config) is host
    if host.supported:
        assert check_run(config) is not None
        return
    with pytest.raises(SettingsError) as error:
        check_run(config)
    assert f"{host.name}, one of verl's experimental trainers, is not supported: {host.note}" in str(error.value)
    assert host.advice in str(error.value)
    assert str(error.value).count("\n  - ") == 1


@pytest.mark.slow
@pytest.mark.parametrize("host", OF_CONFIGS, ids=lambda host: host.name)
def test_its_own_launcher_refuses_before_ray_starts(host):
    python, *module = host.chosen_by.split()
    assert python == "python"
    done = subprocess.run(
        [sys.executable, *module, "algorithm.adv_estimator=hdpo", "actor_rollout_ref.rollout.n=4"],
        capture_output=True,
        text=True,
        cwd=Path(verl.__file__).parents[1],  # one of the configs names a folder of verl's checkout
    )
    assert done.returncode != 0
    assert host.note in done.stderr
    assert "ray init kwargs" not in done.stdout


def test_the_page_has_the_table():
    assert hosts_table() in ENGINES_PAGE.read_text()


def test_a_filter_that_verl_ignores_there_is_warned_of(caplog):
    filtered = ("algorithm.filter_groups.enable=true", "algorithm.filter_groups.metric=hdpo_signal")
    own_parts = (
        "reward.reward_manager.name=hdpo",
        "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
    )
    check_run(composed(*RUN, "trainer.use_v1=false", *filtered, *own_parts))
    assert "verl's classic trainer ignores algorithm.filter_groups" in caplog.text
