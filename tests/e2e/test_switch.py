"""One word switches an existing verl run to HDPO; with no weight on the efficiency channel nothing changes."""

import contextlib
import math
import shutil
from pathlib import Path

import psutil
import pytest

STEPS = [1, 2, 3, 4]
# Times and memory; ours; the order of rows; and the age of rollouts, which a replay does not keep.
NOT_COMPARED = ("timing", "perf/", "actor/perf/", "hdpo/", "global_seqlen/", "training/off_policy/")


def kill_everything():
    """kill -9 of verl's driver and every process it started: nothing gets to clean up."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_one_word_switch_with_stock_parts_only(comparison):
    steps = comparison.steps("hdpo")
    assert sorted(steps) == [0, 1, 2]
    for step in (1, 2):
        metrics = steps[step]
        assert metrics["hdpo/ledger_rate"] == 0.0  # the stock loop keeps none: T is the number of tool rounds
        assert 0 < metrics["hdpo/tool_use_rate"] < 1
        assert math.isfinite(metrics["actor/grad_norm"])
        assert metrics["actor/grad_norm"] > 0
        assert "hdpo/tool/pg_clipfrac" in metrics
        assert "hdpo/acc/pg_loss" in metrics
        assert metrics["hdpo/tool/groups_with_signal"] > 0
        assert metrics["hdpo/tool/advantage_std"] > 0
    assert {"val-hdpo/needed/tool_use_rate", "val-hdpo/not_needed/accuracy"} <= set(steps[0])


def test_zero_efficiency_weight_is_stock_grpo_and_a_killed_run_resumes_where_it_was(train, tmp_path):
    """Two ranks. The GRPO run records its rollouts; the other replays them, is killed outright and resumes.

    Rollouts are replayed (verl's ``skip.rollout_tq``) because vLLM samples differently in every run. The run that is
    killed has those of two steps only, and a reward that never comes for the third: that is where it dies.
    """
    recorded, first_two = tmp_path / "rollouts", tmp_path / "rollouts-of-two-steps"

    def replaying(rollouts):
        return [
            "skip.rollout_tq.enable=True",
            f"skip.rollout_tq.dump_dir={rollouts}",
            f"skip.rollout_tq.steps={STEPS}",
            f"trainer.total_training_steps={STEPS[-1]}",
        ]

    no_efficiency = ["algorithm.adv_estimator=hdpo", "+algorithm.hdpo.w_tool=0", "trainer.save_freq=1"]
    grpo = train("grpo", "algorithm.adv_estimator=grpo", *replaying(recorded), world_size=2).succeeded()

    shutil.copytree(recorded, first_two, ignore=shutil.ignore_patterns("3", "4"))
    no_reward = f"reward.custom_reward_function.path={Path(__file__).parent / 'endless_reward.py'}"
    overrides = [*no_efficiency, *replaying(first_two), no_reward]
    killed = train("killed", *overrides, world_size=2, after_step={2: kill_everything})
    assert killed.code != 0
    assert sorted(killed.steps) == [1, 2]
    resume = "trainer.resume_mode=auto"
    resumed = train("resumed", *no_efficiency, *replaying(recorded), resume, world_size=2).succeeded()
    assert sorted(resumed.steps) == [3, 4]

    for step, ours in {**killed.steps, **resumed.steps}.items():
        stock = grpo.steps[step]
        shared = {name for name in ours if not name.startswith(NOT_COMPARED)}
        assert shared == {name for name in stock if not name.startswith(NOT_COMPARED)}
        assert {"actor/pg_loss", "actor/grad_norm", "actor/entropy", "critic/advantages/mean"} <= shared
        for name in sorted(shared):
            # Some rollout_corr are small differences of numbers near 1, in float32.
            rounding = 1e-5 if name.startswith("rollout_corr/") else 1e-6
            assert ours[name] == pytest.approx(stock[name], rel=1e-5, abs=rounding), f"step {step}: {name}"
