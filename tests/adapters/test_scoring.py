"""Whatever a reward function reports, every advantage and every metric is a finite number, or the run ends plainly."""

import math

import pytest
import torch
from composed import composed
from hypothesis import given, settings
from hypothesis import strategies as st

from verl_hdpo.adapters.host_batch import MAX_REWARD
from verl_hdpo.adapters.run_settings import run_settings
from verl_hdpo.adapters.scoring import Rollouts, Scoring
from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.ledger import LEDGER_KEY, LOST_KEY, ToolLedger, ToolTally
from verl_hdpo.outcomes.metrics import batch_metrics
from verl_hdpo.outcomes.outcome import OutcomeError
from verl_hdpo.outcomes.rollout_index import RolloutIndex

RUNS = {
    name: run_settings(composed("actor_rollout_ref.rollout.n=4", f"algorithm.adv_estimator={name}"))
    for name in ESTIMATORS
}

numbers = st.sampled_from([0, 1, 0.5, True, -1, 1e30, math.nan, math.inf, -math.inf, None])
infos = st.fixed_dictionaries(
    {"acc": numbers, "format": st.sampled_from([0.0, 1.0])},
    optional={
        "outcome_known": st.sampled_from([0, 1, None]),
        "score": numbers,
        "timeout": st.booleans(),
        "tool_calls": st.sampled_from([0, 3, None, math.nan]),
        "tool_reward": numbers,
    },
)
ledgers = st.builds(
    lambda calls, unavailable: ToolLedger(1, unavailable, {"t": ToolTally(executed=calls)}).to_dict(),
    st.integers(0, 10**6),
    st.sampled_from([0, 0, 0, 1]),
)
rollouts = st.fixed_dictionaries(
    {"group": st.integers(0, 3), "info": infos, "reward": st.floats(allow_nan=True, allow_infinity=True, width=32)},
    optional={"ledger": ledgers, "lost": st.sampled_from(["tool", "image"])},
)


@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=60)
@given(batch=st.lists(rollouts, min_size=1, max_size=16))
def test_no_nan_and_no_infinity_in_any_estimator(name, batch):
    fields = [{"reward_extra_info": rollout["info"]} for rollout in batch]
    for field, rollout in zip(fields, batch, strict=True):
        field |= {LEDGER_KEY: rollout["ledger"]} if "ledger" in rollout else {}
        field |= {LOST_KEY: rollout["lost"]} if "lost" in rollout else {}
    try:
        outcomes = Outcomes.read(fields, [4] * len(batch), RUNS[name].hdpo)
    except OutcomeError as error:
        assert "reward_extra_info" in str(error)
        return
    rewards = torch.tensor([rollout["reward"] for rollout in batch])
    spoilt = ~(rewards.abs() < MAX_REWARD)
    outcomes = outcomes.with_unknown(spoilt, "reward_not_finite")
    index = RolloutIndex.from_keys(
        [f"{rollout['group']}_{number}_0" for number, rollout in enumerate(batch)], [False] * len(batch)
    )
    scores = Scoring(Rollouts(index, outcomes, ["s"] * len(batch)), RUNS[name])
    advantages = scores(rewards)
    assert advantages.isfinite().all()
    assert not advantages[~outcomes.known_B].any()
    metrics, _ = batch_metrics(outcomes, ["s"] * len(batch), index.group_B, 4, 4)
    assert all(math.isfinite(value) for value in (metrics | scores.metrics).values())
