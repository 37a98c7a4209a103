"""One word switches an existing verl run to HDPO; with no weight on the efficiency channel nothing changes."""

import contextlib
import math

import psutil
import pytest

# Times and memory; ours; the order of rows; and the age of rollouts, which a replay does not keep.
STEPS = [1, 2, 3, 4, 5, 6]
NOT_COMPARED = ("timing", "perf/", "actor/perf/", "hdpo/", "global_seqlen/", "training/off_policy/")


def kill_everything():
    """kill -9 of verl's driver and every process it started: nothing gets to clean up."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_one_word_switch_with_stock_parts_only(train):
    """Stock ``tool_agent``, stock ``naive`` reward manager, the user's reward function; only the estimator is ours."""
    run = train("switch", "algorithm.adv_estimator=hdpo", "trainer.val_before_train=True", world_size=2).succeeded()
    assert sorted(run.steps) == [0, 1, 2]
    for step in (1, 2):
        metrics = run.steps[step]
        assert metrics["hdpo/ledger_rate"] == 0.0  # the stock loop keeps none: T is the number of tool rounds
        assert 0 < metrics["hdpo/tool_use_rate"] < 1
        assert math.isfinite(metrics["actor/grad_norm"])
        assert metrics["actor/grad_norm"] > 0
        assert "hdpo/tool/pg_clipfrac" in metrics
        assert "hdpo/acc/pg_loss" in metrics
        assert metrics["hdpo/tool/groups_with_signal"] > 0
        assert metrics["hdpo/tool/advantage_std"] > 0
    assert {"val-hdpo/needed/tool_use_rate", "val-hdpo/not_needed/accuracy"} <= set(run.steps[0])


def test_zero_efficiency_weight_is_stock_grpo_and_a_killed_run_resumes_where_it_was(train, tmp_path):
    """Two ranks. The GRPO run records its rollouts; the other replays them, is killed outright and resumes.

    Rollouts are replayed (verl's ``skip.rollout_tq``) because vLLM samples differently in every run.
    """
    record = [
        "skip.rollout_tq.enable=True",
        f"skip.rollout_tq.dump_dir={tmp_path / 'rollouts'}",
        f"skip.rollout_tq.steps={STEPS}",
        f"trainer.total_training_steps={STEPS[-1]}",
    ]
    no_efficiency = ["algorithm.adv_estimator=hdpo", "+algorithm.hdpo.w_tool=0", "trainer.save_freq=1"]
    grpo = train("grpo", "algorithm.adv_estimator=grpo", *record, world_size=2).succeeded()

    killed = train("killed", *no_efficiency, *record, world_size=2, after_step={2: kill_everything})
    assert killed.code != 0
    saved = int((killed.checkpoints / "latest_checkpointed_iteration.txt").read_text())
    assert saved in STEPS[:-1], "it was to be killed before its end"
    resumed = train("resumed", *no_efficiency, *record, "trainer.resume_mode=auto", world_size=2).succeeded()
    assert sorted(resumed.steps) == STEPS[saved:]
    assert sorted({**killed.steps, **resumed.steps}) == STEPS

    for step, ours in {**killed.steps, **resumed.steps}.items():
        stock = grpo.steps[step]
        shared = {name for name in ours if not name.startswith(NOT_COMPARED)}
        assert shared == {name for name in stock if not name.startswith(NOT_COMPARED)}
        assert {"actor/pg_loss", "actor/grad_norm", "actor/entropy", "critic/advantages/mean"} <= shared
        for name in sorted(shared):
            assert ours[name] == pytest.approx(stock[name], rel=1e-5, abs=1e-6), f"step {step}: {name}"
