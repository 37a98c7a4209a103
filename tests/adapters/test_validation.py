"""The trainer's validation metrics: verl's own, without unknown outcomes, and HDPO's beside them."""

import math

import numpy as np
import pytest
from bare_trainer import make_trainer
from verl.trainer.ppo.v1.trainer_base import PPOTrainer


def validated(trainer, uids, reported, sources=None):
    """The metrics of one rollout for each of ``uids``; ``reported`` by its reward manager."""
    sources, expected = sources or ["s"] * len(uids), {}
    if "expected_acc_counts" in PPOTrainer._val_metrics_update.__code__.co_varnames:  # 0.9.1
        counts = {(source, uid): uids.count(uid) for source, uid in zip(sources, uids, strict=True)}
        expected = {"expected_acc_counts": counts if "acc" in reported else {}}
    return trainer._val_metrics_update(sources, list(uids), reported, [2] * len(uids), **expected)


@pytest.mark.parametrize(("estimator", "accuracy"), [("hdpo", 1 / 2), ("grpo", 1 / 3)])
def test_unknown_outcomes_leave_accuracy_and_a_run_that_is_observed_keeps_verls(estimator, accuracy):
    reported = {
        "reward": [1.0, 0.0, 0.0],
        "acc": [1.0, 0.0, 0.0],
        "outcome_known": [1.0, 1.0, 0.0],
        "tool_calls": [0.0, 1.0, 1.0],
    }
    metrics = validated(make_trainer("+algorithm.hdpo.observe=True", estimator=estimator), "xyz", reported)
    assert metrics["val-core/s/acc/mean@1"] == pytest.approx(accuracy)
    assert metrics["val-hdpo/s/accuracy"] == 0.5
    assert "val-hdpo/s/ledger_rate" not in metrics
    assert metrics["val-hdpo/s/unknown_rate"] == pytest.approx(1 / 3)
    assert metrics["val-hdpo/s/tool_use_rate"] == pytest.approx(2 / 3)


def test_an_unknown_outcome_that_comes_without_a_verdict_is_counted():
    metrics = validated(make_trainer(), "xy", {"reward": [1.0, 0.0], "acc": [1.0, None], "outcome_known": [1.0, 0.0]})
    assert (metrics["val-hdpo/s/unknown_rate"], metrics["val-core/s/acc/mean@1"]) == (0.5, 1.0)


@pytest.mark.parametrize("scores", [{}, {"score": [1.0, 0.0, 1.0, None]}])
def test_a_timeout_of_verls_rate_limited_manager_is_that_rollouts_alone(scores):
    reported = {"acc": [1.0, 0.0, 1.0, 0.0], "timeout": [None, None, None, True], **scores}
    metrics = validated(make_trainer(), "wxyz", {"reward": [1.0, 0.0, 1.0, 0.0], **reported})
    assert metrics["val-hdpo/s/unknown_rate"] == 1 / 4
    assert metrics["val-hdpo/s/accuracy"] == metrics["val-core/s/acc/mean@1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_no_metric_is_spoilt_by_a_value_that_is_not_finite(value):
    reported = {"reward": [1.0, value, 0.0], "acc": [1.0, 0.0, 0.0], "mine": [value, 1.0, 1.0]}
    metrics = validated(make_trainer(), "xyz", reported)
    assert all(math.isfinite(found) for found in metrics.values()), metrics
    assert metrics["val-aux/s/reward/mean@1"] == 0.5 and metrics["val-aux/s/mine/mean@1"] == 1.0


@pytest.mark.parametrize("acc", [{"acc": [1.0, None]}, {}])
def test_a_source_that_tells_no_outcome_keeps_its_scores(acc):
    metrics = validated(make_trainer(), "xy", {"reward": [1.0, 0.5], **acc}, sources=["s", "t"])
    assert any(name.startswith("val-") and "/t/reward" in name for name in metrics), metrics
    assert ("val-hdpo/s/accuracy" in metrics) == bool(acc)
    assert "val-hdpo/t/accuracy" not in metrics


def test_of_what_the_reward_manager_reports_there_are_means_and_no_bootstrap():
    reported = {"reward": [1.0, 0.1, 1.0, 1.0], "acc": [1.0, 0.0, 1.0, 1.0], "outcome_known": [1.0] * 4}
    reported |= {"tool_used": [1.0, 0.0, 0.0, 0.0], "tool_calls": [3.0, 0.0, 0.0, 0.0], "mine": [1.0, 2.0, 3.0, 4.0]}
    settings = ("reward.reward_manager.name=hdpo", "actor_rollout_ref.rollout.val_kwargs.n=2")
    metrics = validated(make_trainer(*settings), "xxyy", reported)
    stock = validated(make_trainer(*settings, estimator="grpo"), "xxyy", reported)
    parts = tuple(f"val-aux/s/{part}/" for part in ("tool_used", "tool_calls", "outcome_known"))
    expected = {name: x for name, x in stock.items() if not name.startswith(parts) or name.endswith("/mean@2")}
    assert {name: x for name, x in metrics.items() if not name.startswith("val-hdpo/")} == expected
    assert expected["val-aux/s/tool_used/mean@2"] == 0.25
    assert "val-aux/s/mine/best@2/mean" in expected
