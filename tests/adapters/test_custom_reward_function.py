"""Reward manager ``hdpo`` with a reward function of the user's own."""

import asyncio
import time

import numpy as np
import pytest
from scored_rollout import IN_THREADS, KEYS, RIGHT, WRONG, config, ledger_with, rollout, score, unknown
from tiny import tiny_tokenizer
from verl.trainer.ppo.reward import load_reward_manager

from verl_hdpo.adapters.reward_manager import HDPORewardManager
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.ledger import ToolLedger
from verl_hdpo.outcomes.outcome import OutcomeError
from verl_hdpo.outcomes.report import ANSWER_KEY, SOURCE_KEY
from verl_hdpo.settings.algorithms import HDPOSettings


def test_a_custom_function_sees_model_text_only_and_the_full_response_apart():
    seen = {}

    def compute_score(data_source, solution_str, ground_truth, extra_info):
        seen.update(locals())
        return 0.5

    data = rollout("call<|im_end|>", "<answer>out</answer>", RIGHT, ledger=ledger_with(executed=1))
    reward, info = score(data, compute_score)
    assert seen["solution_str"] == "call\n<answer>4</answer>"
    assert seen["extra_info"] == {
        "index": 7, "num_turns": 4, "tool_calls": 1,
        "full_response": "call<answer>out</answer><answer>4</answer>",
    }  # fmt: skip
    assert reward == pytest.approx(0.55) and info["acc"] == 0.5 and info["tool_reward"] == 0.0
    assert data.non_tensor_batch["extra_info"][0] == {"index": 7}  # verl's own row is left alone


@pytest.mark.parametrize(
    ("result", "answer", "acc"),
    [
        (1.0, 1.0, 1.0),
        (True, 1.0, 1.0),
        ({"score": 0.3, "acc": True}, 0.3, 1.0),
        ({"score": np.float32(1.0)}, 1.0, 1.0),
        ({"score": 1.0, "outcome_known": 1}, 1.0, 1.0),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_results_of_a_custom_function(result, answer, acc, is_async):
    def sync_score(**_):
        return result

    async def async_score(**_):
        return result

    reward, info = score(rollout(RIGHT, ledger=ToolLedger()), async_score if is_async else sync_score)
    assert reward == pytest.approx(0.9 * answer + 0.1) and info["acc"] == acc


@pytest.mark.parametrize("result", [None, float("nan"), {"score": None}, {"score": 1.0, "outcome_known": False}])
def test_a_custom_function_may_say_unknown(result):
    assert unknown(score(rollout(RIGHT, ledger=ToolLedger()), lambda **_: result))


def test_a_custom_function_that_raises_or_hangs_makes_it_unknown(caplog):
    def raises(**_):
        raise ConnectionError("judge is down")

    async def hangs(**_):
        await asyncio.sleep(3600)

    for function in (raises, hangs, lambda **_: time.sleep(3600)):
        data = rollout(RIGHT, ledger=ToolLedger())
        assert unknown(score(data, function, reward_kwargs={"function_timeout": 0.2}))
    assert "judge is down" in caplog.text and "limit 0.2 s" in caplog.text


def test_warnings_of_unknown_outcomes_are_rate_limited(caplog):
    def raises(**_):
        raise ConnectionError("judge is down")

    async def run():
        manager = HDPORewardManager(config(IN_THREADS, custom_path="r.py"), tiny_tokenizer(), raises)
        await asyncio.gather(*(manager.run_single(rollout(RIGHT, ledger=ToolLedger())) for _ in range(5)))

    asyncio.run(run())
    assert caplog.text.count("outcome(s) unknown") == 1


@pytest.mark.parametrize("result", [-1.0, {"score": 2}, {"score": 1, "acc": 7}, {"acc": 1, "score": 1e999}, "4 of 5"])
def test_a_custom_score_outside_0_to_1_is_refused(result):
    with pytest.raises(ValueError, match=r"must return a score \(and acc\) in \[0, 1\]"):
        score(rollout(RIGHT, ledger=ToolLedger()), lambda **_: result)


def test_what_cannot_be_scored_ends_the_run_in_place_of_going_missing():
    async def run(function, data):
        settings = config(IN_THREADS, custom_path="r.py", adv_estimator="hdpo")
        return await HDPORewardManager(settings, tiny_tokenizer(), function).run_single(data)

    unjudged = rollout("call", RIGHT, spans=False, num_turns=4)
    for data, returned, why in ((rollout(WRONG), -1.0, "found {'score': -1.0}"), (unjudged, 1.0, "cannot tell")):
        info = asyncio.run(run(lambda returned=returned, **_: returned, data))["reward_extra_info"]
        assert list(info) == [*KEYS, SOURCE_KEY, ANSWER_KEY, "reward_error"] and info["outcome_known"] == 0
        with pytest.raises(OutcomeError, match=why):
            Outcomes.read([{"reward_extra_info": info}], [2], HDPOSettings())


def test_other_keys_of_a_custom_reward_are_ignored_and_named_once(caplog):
    async def run():
        result = {"score": 1.0, "judge_seconds": 2}
        manager = HDPORewardManager(config(IN_THREADS, custom_path="r.py"), tiny_tokenizer(), lambda **_: result)
        for _ in range(2):
            info = (await manager.run_single(rollout(RIGHT, ledger=ToolLedger())))["reward_extra_info"]
            assert list(info) == [*KEYS, SOURCE_KEY, ANSWER_KEY]

    asyncio.run(run())
    assert caplog.text.count("judge_seconds") == 1


def test_verl_loads_a_custom_function_for_it(tmp_path):
    path = tmp_path / "my_reward.py"
    path.write_text("async def compute_score(data_source, solution_str, ground_truth, extra_info):\n    return 1.0\n")
    manager = load_reward_manager(config(custom_path=str(path)), tiny_tokenizer())
    result = asyncio.run(manager.run_single(rollout(WRONG, ledger=ToolLedger())))
    assert result["reward_extra_info"]["acc"] == 1.0
