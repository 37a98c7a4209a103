"""A development version of verl is taken if it has what the contract tests look at, else told what it lacks.

Each case is a copy of the installed verl that calls itself 0.10.0.dev0, and of which a line was changed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import verl
from packaging.specifiers import SpecifierSet

pytestmark = pytest.mark.slow
CHECK = """
import logging, sys
import verl
from verl_hdpo.adapters.check import check_run
from verl_hdpo.adapters.composed_config import compose
from verl_hdpo.settings.group import SettingsError

logging.basicConfig(level=logging.WARNING)
assert verl.__file__.startswith(sys.argv[1]), verl.__file__
run = ["algorithm.adv_estimator=hdpo", "actor_rollout_ref.rollout.n=4"]
for trainer in "true", "false":
    try:
        check_run(compose("ppo_trainer", None, None, [*run, f"trainer.use_v1={trainer}"]))
        print(trainer, "taken")
    except SettingsError as error:
        print(trainer, " ".join(str(error).split()))
"""
LACKS = "verl 0.10.0.dev0 lacks what verl-hdpo relies on: "


@pytest.fixture
def checked(tmp_path):
    """``checked(file, old, new)``: what a run in trainer V1 is told, one in the classic trainer, and the log."""

    def run(file="version/version", old=verl.__version__, new="0.10.0.dev0"):
        copy = tmp_path / "verl"
        shutil.copytree(Path(verl.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "version" / "version").write_text("0.10.0.dev0\n")
        if file != "version/version":
            text = (copy / file).read_text()
            assert text.count(old) == 1
            (copy / file).write_text(text.replace(old, new))
        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-W", "ignore", "-c", CHECK, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
        assert done.returncode == 0, done.stderr[-4000:]
        v1, classic = (line.partition(" ")[2] for line in done.stdout.splitlines()[-2:])
        return v1, classic, done.stderr

    return run


def test_one_that_fits_is_taken_and_warned_of(checked):
    v1, classic, log = checked()
    assert (v1, classic) == ("taken", "taken")
    assert "verl 0.10.0.dev0 is a development version" in log


def test_a_symbol_that_is_gone_is_named_where_it_is_needed(checked):
    v1, classic, _ = checked(
        "trainer/ppo/v1/trainer_base.py", "def _val_metrics_update(", "def _update_validation_metrics("
    )
    assert f"{LACKS}verl.trainer.ppo.v1.trainer_base:PPOTrainer._val_metrics_update is gone" in v1
    assert "adapters/trainer.py" in v1 and "pip install 'verl>=0.9.0,<0.10'" in v1
    assert classic == "taken"


def test_so_is_a_parameter(checked):
    v1, classic, _ = checked(
        "trainer/ppo/ray_trainer.py", "def _get_dp_size(self, worker_group, role: str)", "def _get_dp_size(self, group)"
    )
    assert v1 == "taken"
    assert (
        f"{LACKS}verl.trainer.ppo.ray_trainer:RayPPOTrainer._get_dp_size has no parameter worker_group, role" in classic
    )


def test_the_package_can_be_installed_beside_it():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    [wanted] = re.findall(r'"verl(>=[^"]*)"', project)
    taken = [
        v
        for v in ("0.8.0", "0.9.0", "0.9.1", "0.10.0.dev0", "0.10.0rc1", "0.10.0")
        if SpecifierSet(wanted).contains(v, True)
    ]
    assert taken == ["0.9.0", "0.9.1", "0.10.0.dev0"]
