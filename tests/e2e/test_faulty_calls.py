"""A tenth of a run's tool calls meet faults of every kind: who is left is compared as if they had not been there."""

import json
import math
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from call_faults import EVERY, FAULTS, ON_SERVER
from conftest import PROMPTS, QUICKSTART, ROLLOUTS
from local_service import Answer, serving
from recorded import calls_of, check_advantages, follows_format, is_right, recording, rows_of
from run_overrides import OWN_PARTS
from tool_servers import TOKEN
from verl.tools.function_tool import load_function_tools_from_path

from verl_hdpo.outcomes.ledger import CALL_STATUSES
from verl_hdpo.tools.server import TOKEN_ENV

STEPS = 20
SERVERS = {
    "server answers 500": Answer({"error": "no"}, 500),
    "server hangs up": Answer(None),
    "server hangs up in the middle": Answer({"status": "ok", "text": "4"}, cut=True),
    "server sends garbage": Answer(b"\x00\xff{"),
    "server lost the session": Answer({"error": "no"}, 404),
    "server is gone": Answer(None),
}


def tool_server(schema):
    """Lists the calculator and opens sessions; to a call it answers as the URL's first part says."""

    def answer(asked):
        if asked.path.endswith("/tools"):
            return Answer({"tools": [{"name": "calculator", "schema": schema, "needs": {}}]})
        if "/calls/" in asked.path and asked.method != "DELETE":
            return SERVERS[ON_SERVER[int(asked.path.split("/")[1])]]
        return Answer({"lease_seconds": 120})

    return answer


def known(row):
    return not row["fault"] or FAULTS[row["fault"]] in CALL_STATUSES


def test_faults_of_every_kind_leave_the_advantages_of_the_others_alone(train, tmp_path, monkeypatch):
    """Ray's object store is full as well, from the third step on."""
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    (tool,) = load_function_tools_from_path(str(QUICKSTART / "tools.py"))
    schema = tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)
    record, tools = tmp_path / "record.jsonl", tmp_path / "tools.yaml"
    with serving(tool_server(schema)) as (_, url), ExitStack() as gone:
        gone_url = gone.enter_context(serving(tool_server(schema)))[1]
        urls = {fault: f"{gone_url if 'gone' in fault else url}/{i}" for i, fault in enumerate(ON_SERVER)}
        entry = {"class_name": "faulty_calculator.FaultyCalculator", "tool_schema": schema}
        tools.write_text(json.dumps({"tools": [{**entry, "config": {"type": "native", "servers": urls}}]}))
        run = train(
            "faulty",
            *OWN_PARTS,
            f"reward.custom_reward_function.path={Path(__file__).with_name('faulty_reward.py')}",
            "+reward.reward_kwargs.function_timeout=3",
            "actor_rollout_ref.rollout.multi_turn.function_tool_path=null",
            f"actor_rollout_ref.rollout.multi_turn.tool_config_path={tools}",
            "actor_rollout_ref.actor.optim.lr=1e-6",
            "+algorithm.hdpo.tool_timeout=10",
            f"trainer.total_training_steps={STEPS}",
            after_step={1: gone.close},
            env=recording(record, "call_faults"),
        ).succeeded()
    rows = rows_of(record)
    assert sorted(run.steps) == list(range(1, STEPS + 1))
    for step, metrics in run.steps.items():
        check_step(metrics, [row for row in rows if row["step"] == step])
    for row in rows:
        check_rollout(row)
    check_advantages(rows, known)
    met = Counter(row["fault"] for row in rows if row["fault"])
    met["reward worker raises"] = sum(metrics.get("hdpo/rollouts_lost/missing", 0) for metrics in run.steps.values())
    assert set(+met) == set(FAULTS)
    calls = sum(calls_of(row, *CALL_STATUSES) + row["ledger"]["unavailable"] for row in rows)
    assert met.total() / calls == pytest.approx(1 / EVERY, abs=0.02)
    assert any(any(row["advantages"]) for row in rows) and any(row["tool_advantage"] for row in rows)


def check_step(metrics, rows):
    """Every rollout is accounted for: known by a check, unknown or lost by a cause, or missing."""
    assert all(map(math.isfinite, metrics.values())), metrics
    lost, shares = Counter(), Counter()
    for name, value in metrics.items():
        match name.split("/"):
            case "hdpo", "rollouts_lost", cause:
                lost[cause] = value
            case "hdpo", ("unknown" | "decided_by") as kind, cause:
                shares[kind, cause] = value * len(rows)
    assert len(rows) + lost["missing"] == PROMPTS * ROLLOUTS
    fates = Counter(FAULTS[row["fault"]] for row in rows if not known(row))
    causes = {"unavailable": "tool_unavailable"}
    expected = {("unknown", causes.get(fate, fate)): number for fate, number in fates.items()}
    expected["decided_by", "reward_function"] = len(rows) - fates.total()
    assert dict(shares) == pytest.approx(expected)
    assert lost["RuntimeError"] == fates["lost"]
    assert metrics["hdpo/unknown_rate"] == pytest.approx(fates.total() / len(rows))


def check_rollout(row):
    fate, reward = FAULTS.get(row["fault"]), row["reward"]
    assert fate not in CALL_STATUSES or calls_of(row, fate) == 1, row
    assert row["ledger"]["unavailable"] == (fate == "unavailable"), row
    assert row["ledger"]["release_failed"] == (row["fault"] == "release raises"), row
    assert (row["lost"] or "") == ("RuntimeError" if fate == "lost" else ""), row
    assert reward["outcome_known"] == known(row), row
    if known(row):
        assert (reward["acc"], reward["format"]) == (is_right(row), follows_format(row)), row
