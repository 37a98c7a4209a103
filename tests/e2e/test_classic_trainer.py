"""verl's classic trainer (``trainer.use_v1=false``) trains HDPO; without weight it is its own GRPO."""

import json
import math
import os
from pathlib import Path
from statistics import mean, stdev

import pytest

HERE = Path(__file__).parent
CLASSIC = "trainer.use_v1=False"
NOT_COMPARED = ("timing", "perf/", "actor/perf/", "hdpo/")


def test_it_trains_on_both_channels_without_the_unknown_outcomes(train, tmp_path):
    """Two agent-loop workers, this package's tool loop, a reference model, and every fourth outcome unknown."""
    record = tmp_path / "record.jsonl"
    run = train(
        "classic",
        CLASSIC,
        "algorithm.adv_estimator=hdpo",
        "actor_rollout_ref.actor.use_kl_loss=True",
        "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
        "actor_rollout_ref.rollout.agent.num_workers=2",
        f"reward.custom_reward_function.path={HERE / 'partly_unknown_reward.py'}",
        "trainer.test_freq=2",
        env={
            "VERL_USE_EXTERNAL_MODULES": "classic_record",
            "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "CLASSIC_RECORD": str(record),
        },
    ).succeeded()
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    assert sorted(run.steps) == [1, 2]
    for step, metrics in run.steps.items():
        mine = [row for row in rows if row["step"] == step]
        assert len(mine) == 32
        check_rows(mine)
        calls = [sum(tool["executed"] for tool in row["ledger"]["tools"].values()) for row in mine]
        assert metrics["hdpo/unknown_rate"] == sum(not row["known"] for row in mine) / 32 == 1 / 4
        assert metrics["hdpo/ledger_rate"] == 1
        assert 0 < metrics["hdpo/tool_calls/executed"] == pytest.approx(sum(calls) / 32)
        assert metrics["hdpo/rollouts_missing"] == 0
        assert math.isfinite(metrics["actor/pg_loss"]) and math.isfinite(metrics["hdpo/tool/pg_loss"])
        assert metrics["hdpo/acc/pg_loss"] == metrics["actor/pg_loss"]
        assert not any(name.startswith("actor/hdpo") for name in metrics)
        assert "actor/kl_loss" in metrics
    assert any(metrics["actor/grad_norm"] > 0 for metrics in run.steps.values())
    assert any(row["tool_advantage"] for row in rows), "nothing was learned about tools; give the task more spread"
    assert {"val-hdpo/needed/tool_use_rate", "val-hdpo/not_needed/unknown_rate"} <= set(run.steps[2])


def check_rows(rows):
    """Both channels by their formulas, each over its own rollouts; who is unknown has no part in anything."""
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    for group in groups.values():
        known = [row for row in group if row["known"]]
        correct = [row for row in known if row["correct"]]
        channels = normalised([row["reward"] for row in known], known), normalised([*map(thrift, correct)], correct)
        for row in group:
            accuracy, efficiency = (channel.get(id(row), 0.0) for channel in channels)
            assert any(row["mask"]) == row["known"]
            assert row["advantages"] == pytest.approx([accuracy * token for token in row["mask"]], abs=1e-4)
            assert row["tool_advantage"] == pytest.approx(efficiency, abs=1e-4)


def thrift(row):
    return 1 / (sum(sum(ended.values()) - ended["seconds"] for ended in row["ledger"]["tools"].values()) + 1)


def normalised(values, rows):
    """GRPO's advantage of each of ``rows``, by its identity."""
    if len(set(values)) < 2:
        return {}
    return {id(row): (value - mean(values)) / (stdev(values) + 1e-6) for row, value in zip(rows, values, strict=True)}


@pytest.mark.nightly
def test_zero_efficiency_weight_is_its_stock_grpo(train, tmp_path):
    """Two ranks. The second run replays the rollouts of the first: vLLM samples differently in every run."""
    replayed = [
        "skip.rollout.enable=True",
        f"skip.rollout.dump_dir={tmp_path / 'rollouts'}",
        "skip.rollout.steps=[1,2]",
    ]
    runs = [
        train(name, CLASSIC, *algorithm, *replayed, world_size=2).succeeded().steps
        for name, algorithm in (
            ("grpo", ["algorithm.adv_estimator=grpo"]),
            ("hdpo", ["algorithm.adv_estimator=hdpo", "+algorithm.hdpo.w_tool=0"]),
        )
    ]
    assert [sorted(steps) for steps in runs] == [[1, 2]] * 2
    for step in (1, 2):
        stock, ours = (
            {name: value for name, value in steps[step].items() if not name.startswith(NOT_COMPARED)} for steps in runs
        )
        assert {"actor/pg_loss", "actor/grad_norm", "critic/advantages/mean"} <= set(ours)
        assert ours == pytest.approx(stock, rel=1e-5, abs=1e-6)
