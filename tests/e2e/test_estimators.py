"""HDPO's rivals in a real run, a step of training each; HDPO itself runs in the other files."""

import json
import math
import os
from pathlib import Path

import pytest
from plain_estimators import PLAIN, Row

from verl_hdpo.evaluation.dumps.reader import read_rollouts

HERE = Path(__file__).parent
COST = 2.0

OF_THE_MANAGER = {"priced": {"answer_weight": 0.9}}
"""What an algorithm takes over from the reward manager ``hdpo``."""


@pytest.mark.nightly
def test_every_rival_trains_a_step_on_the_advantages_of_its_formula(train, tmp_path):
    record = tmp_path / "record.jsonl"
    run = train(
        "rivals",
        f"algorithm.adv_estimator={next(iter(PLAIN))}",
        f"+algorithm.hdpo.tool_costs.calculator={COST}",
        "reward.reward_manager.name=hdpo",
        "reward.custom_reward_function.path=null",
        "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
        f"trainer.total_training_steps={len(PLAIN)}",
        f"trainer.rollout_data_dir={tmp_path / 'rollouts'}",
        env={
            "VERL_USE_EXTERNAL_MODULES": "estimators_in_turn",
            "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "ESTIMATORS_RECORD": str(record),
        },
    ).succeeded()
    written = [json.loads(line) for line in record.read_text().splitlines()]
    assert [step["estimator"] for step in written] == list(PLAIN)
    assert sorted(run.steps) == list(range(1, len(PLAIN) + 1))
    signals, dumped = 0, read_rollouts(tmp_path / "rollouts").rollouts
    for step in written:
        rollouts, metrics = step["rollouts"], run.steps[step["step"]]
        rows = [
            Row(*values)
            for values in zip(
                *(rollouts[f"{name}_B"] for name in ("rewards", "group", "known", "correct", "cost", "format_ok")),
                strict=True,
            )
        ]
        assert len(rows) == 8 * 4
        assert "tool_advantages" not in step["fields"]
        got = [row for row, padding in zip(step["advantages"], step["padding"], strict=True) if not padding]
        assert all(len(values) == 1 for values in got)  # one advantage for all tokens of a rollout
        expected = PLAIN[step["estimator"]](rows, **OF_THE_MANAGER.get(step["estimator"], {}))
        assert [values[0] for values in got] == pytest.approx(expected, abs=1e-4), step["estimator"]
        seen = [one for one in dumped if one.step == step["step"]]
        assert sorted(one.advantage for one in seen) == pytest.approx(sorted(expected), abs=1e-4)
        assert sorted(one.calls * COST for one in seen) == sorted(row.cost for row in rows)
        assert sum(one.outcome == "correct" for one in seen) == sum(row.correct for row in rows)
        assert all(sum(len(turn.calls) for turn in one.turns) == one.calls for one in seen)
        assert sum(row.cost for row in rows) / len(rows) == pytest.approx(metrics["hdpo/tool_cost/mean"])
        assert metrics["hdpo/tool_cost/mean"] == pytest.approx(COST * metrics["hdpo/tool_calls/mean"])
        assert 0 < metrics["hdpo/tool_use_rate"] < 1
        assert math.isfinite(metrics["actor/grad_norm"])
        signals += metrics["actor/grad_norm"] > 0 and any(expected)
    assert signals == len(PLAIN), "a step without signal tells nothing; give the task more spread"
