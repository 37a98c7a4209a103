"""Reward manager ``hdpo``: what the model wrote is judged, what it did not cause is unknown, the schema is fixed."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_servers import MODEL, asked_about, verdict
from local_service import serving
from omegaconf import OmegaConf
from scored_rollout import KEYS, RIGHT, WRONG, config, ledger_with, rollout, score, unknown
from tiny import tiny_tokenizer
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.experimental.reward_loop.reward_manager.registry import get_reward_manager_cls
from verl.trainer.ppo.reward import load_reward_manager

from verl_hdpo.adapters.reward_manager import HDPORewardManager
from verl_hdpo.grading.question import Question
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.judge_use import JudgeUse
from verl_hdpo.outcomes.ledger import ToolLedger
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.outcomes.report import ANSWER_KEY, SOURCE_KEY
from verl_hdpo.outcomes.rewards import hdpo_signal
from verl_hdpo.settings.algorithms import HDPOSettings
from verl_hdpo.settings.group import SettingsError


def test_it_reports_the_answer_that_the_check_was_given():
    async def seen(answer):
        manager = HDPORewardManager(config(), tiny_tokenizer())
        result = await manager.run_single(rollout(f"so <answer>{answer}</answer>", ledger=ToolLedger()))
        return result["reward_extra_info"][ANSWER_KEY]

    assert asyncio.run(seen("four or so")) == "four or so"
    assert asyncio.run(seen("4" * 10_000)) == "4" * 500
    assert asyncio.run(seen("4</answer> or <answer>")) == ""  # cut off: no answer


def test_a_correct_rollout_with_tools_in_full():
    ledger = ledger_with(executed=1, failed=1, dropped=1, rounds=2)
    reward, info = score(rollout("call<|im_end|>", "4\n", RIGHT, ledger=ledger))
    assert reward == pytest.approx(1.0)
    assert info == {
        "acc": 1.0, "format": 1.0, "outcome_known": 1.0, "accuracy_reward": 1.0, "tool_reward": 0.25,
        "tool_calls": 3.0, "tool_used": 1.0, "hdpo_signal": hdpo_signal(1.0, True, 3),
        "tool_executed": 1.0, "tool_failed": 1.0, "tool_timed_out": 0.0, "tool_dropped": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pieces", "reward", "tool"),
    [
        ((RIGHT,), 1.0, 1.0),
        ((WRONG,), 0.1, 0.0),
        (("I think <answer>4</answer>, yes",), 0.9, 1.0),
        (("4",), 0.0, 0.0),
        (("<answer>4</answer>", "out", "<reason>so</reason>"), 0.9, 1.0),
    ],
)
def test_accuracy_and_tool_reward(pieces, reward, tool):
    got, info = score(rollout(*pieces, ledger=ToolLedger()))
    assert got == info["accuracy_reward"] == pytest.approx(reward)
    assert info["tool_reward"] == tool


@pytest.mark.parametrize(("policy", "calls"), [("attempted", 3), ("executed", 1), ("rounds", 2)])
def test_calls_are_counted_as_configured(policy, calls):
    ledger = ledger_with(executed=1, dropped=2, rounds=2)
    _, info = score(rollout("c", "o", RIGHT, ledger=ledger), hdpo={"count_calls": policy})
    assert info["tool_calls"] == calls and info["tool_reward"] == 1 / (calls + 1)


def test_costs_of_tools_weigh_in_the_tool_reward_and_the_filter_metric():
    ledger = ledger_with(executed=2)
    for costs, cost in (({}, 2), ({"python": 3}, 6), ({"python": 0}, 0), ({"search": 3}, 2)):
        _, info = score(rollout("c", "o", RIGHT, ledger=ledger), hdpo={"tool_costs": costs})
        assert (info["tool_calls"], info["tool_reward"]) == (2, 1 / (cost + 1))
        assert info["hdpo_signal"] == hdpo_signal(1.0, True, cost)


def test_weights_and_pattern_are_configurable():
    kwargs = {"answer_weight": 0.5, "format_weight": 0.25, "answer_pattern": r"\\boxed\{([^}]*)\}"}
    reward, info = score(rollout("so \\boxed{4}", ledger=ToolLedger()), reward_kwargs=kwargs)
    assert reward == 0.75 and info["format"] == 1.0


observations = st.lists(st.sampled_from(["<answer>", "</answer>", "4", "5", "<tool_response>", "\n"]), max_size=6).map(
    "".join
)


@settings(max_examples=40, deadline=None)
@given(first=observations, observation=observations, last=observations)
def test_an_observation_never_changes_the_outcome(first, observation, last):
    with_it, without = (score(rollout(first, text, last, ledger=ToolLedger())) for text in (observation, ""))
    assert with_it == without


def test_a_tool_cannot_supply_or_complete_the_answer():
    for pieces in [("call", RIGHT, "done"), ("<answer>", "4</answer>", "done"), ("<answer>4", "</answer>", "")]:
        _, info = score(rollout(*pieces, ledger=ToolLedger()))
        assert info["acc"] == 0.0 and info["outcome_known"] == 1.0


@pytest.mark.parametrize("special_tags", [False, True])
def test_tags_that_are_special_tokens_survive(special_tags):
    data = rollout(RIGHT + "<|endoftext|>", ledger=ToolLedger(), special_tags=special_tags)
    assert score(data, special_tags=special_tags)[0] == pytest.approx(1.0)


def test_without_spans_a_single_turn_is_the_models_and_more_is_refused():
    assert score(rollout(RIGHT, spans=False, num_turns=2))[1]["tool_calls"] == 0.0
    with pytest.raises(ValueError, match="default_agent_loop=hdpo_tool_agent"):
        score(rollout("call", RIGHT, spans=False, num_turns=4))


def test_rounds_stand_in_for_calls_without_a_ledger():
    _, info = score(rollout("call", "out", RIGHT, num_turns=4))
    assert info["tool_calls"] == 1.0 and info["tool_reward"] == 0.5


def test_only_the_last_output_counts_and_its_length_is_taken_from_verl():
    data = DataProto.concat([rollout(WRONG, ledger=ToolLedger()), rollout(RIGHT, ledger=ToolLedger())])
    assert score(data)[1]["acc"] == 1.0
    data = rollout(RIGHT + "<answer>5</answer>", ledger=ToolLedger())
    data.non_tensor_batch["response_len"] = np.array([len(tiny_tokenizer().encode(RIGHT))])
    assert score(data)[1]["acc"] == 1.0


def test_a_tool_outage_makes_the_outcome_unknown():
    assert unknown(score(rollout("c", "o", RIGHT, ledger=ledger_with(unavailable=1))))


def test_a_checker_that_raises_or_cannot_tell_makes_it_unknown(caplog):
    async def raises(*_):
        raise ConnectionError("judge is down")

    async def undecided(*_):
        return Outcome.unknown()

    assert unknown(score(rollout(RIGHT, ledger=ToolLedger()), checker=raises))
    assert "judge is down" in caplog.text
    assert unknown(score(rollout(RIGHT, ledger=ToolLedger()), checker=undecided))


def test_a_checker_gets_answer_ground_truth_and_question_and_is_not_asked_without_an_answer():
    seen = []

    async def judge(answer, ground_truth, question, extra_info):
        seen.append((answer, ground_truth, question, extra_info["index"]))
        return Outcome.right()

    assert score(rollout(WRONG, ledger=ToolLedger()), checker=judge)[1]["acc"] == 1.0
    assert seen == [("5", "4", Question("2+2?"), 7)]
    assert score(rollout("no answer", ledger=ToolLedger()), checker=judge)[1]["outcome_known"] == 1.0
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("hdpo", "differs_by_tools", "differs_by_accuracy"),
    [({}, True, True), ({"w_tool": 0.0}, False, True), ({"w_acc": 0.0, "w_tool": 1.0}, True, False)],
)
def test_the_filter_metric_ignores_a_channel_without_weight(hdpo, differs_by_tools, differs_by_accuracy):
    def signal(*pieces, **outcomes):
        return score(rollout(*pieces, ledger=ledger_with(**outcomes)), hdpo=hdpo)[1]["hdpo_signal"]

    assert (signal(RIGHT) != signal(RIGHT, executed=1)) == differs_by_tools
    assert (signal(WRONG) != signal("no format")) == differs_by_accuracy


def test_verl_builds_it_by_name_and_its_default_score_table_is_not_used():
    assert get_reward_manager_cls("hdpo") is HDPORewardManager
    manager = load_reward_manager(config(), tiny_tokenizer(), reward_router_address=None, reward_model_tokenizer=None)
    assert manager.custom_score is None


def test_settings_are_checked_at_construction():
    with pytest.raises(SettingsError, match=r"unknown setting reward\.reward_kwargs\.max_resp_len"):
        HDPORewardManager(config(reward_kwargs={"max_resp_len": 3}), tiny_tokenizer())


@pytest.mark.parametrize(
    ("answer", "known"), [(1.0, True), ({"score": 0.0, "acc": 0.0}, True), ("down", False), ("slow", False)]
)
def test_what_verl_s_rate_limited_manager_could_not_judge_is_unknown(answer, known):
    async def judge(**_):
        if answer == "down":
            raise ConnectionError("503")
        await asyncio.sleep(60 if answer == "slow" else 0)
        return answer

    async def run():
        settings = OmegaConf.create({"reward": {"timeout": 0.05}})
        manager = get_reward_manager_cls("rate_limited")(settings, tiny_tokenizer(), judge)
        type(manager)._semaphore = asyncio.Semaphore(1)  # verl's is of the first event loop
        return await manager.run_single(rollout(RIGHT))

    info = asyncio.run(run())["reward_extra_info"]
    assert Outcomes.read([{"reward_extra_info": info}], [2], HDPOSettings()).known_B.tolist() == [known]


def test_a_judge_decides_what_the_rules_cannot_and_its_columns_are_reported():
    async def run(url):
        judge = {"endpoints": [url], "model": MODEL, "when": "always"}
        manager = HDPORewardManager(config(reward_kwargs={"judge": judge}), tiny_tokenizer())
        try:
            return await manager.run_single(rollout(WRONG, ledger=ToolLedger()))
        finally:
            await manager.checker.judge.close()

    with serving(verdict("correct")) as (service, url):
        info = asyncio.run(run(url))["reward_extra_info"]
    assert asked_about(service.asked[0].body) == ([], "2+2?", ["4"], "5")
    assert (info["acc"], info["outcome_known"], info[SOURCE_KEY]) == (1.0, 1.0, "judge")
    assert list(info) == [*KEYS, *JudgeUse().columns, SOURCE_KEY, ANSWER_KEY] and info["judge_requests"] == 1.0


@pytest.mark.parametrize("own", [True, False])
def test_verl_s_reward_worker_leaves_the_reward_model_to_the_manager_as_its_judge(own):
    """Of a reward model without reward function verl would ask for a score, past the manager."""
    manager_name = "hdpo" if own else "naive"
    settings = OmegaConf.merge(
        config(reward_kwargs={"judge": "always"} if own else None),
        {"reward": {"reward_manager": {"name": manager_name}, "reward_model": {"enable": True, "model_path": "judge"}}},
    )
    worker = object.__new__(RewardLoopWorker)
    worker.config = settings

    async def run(address):
        async def disrm(data):
            return "a score"

        worker.compute_score_disrm = disrm
        worker.reward_manager = load_reward_manager(settings, tiny_tokenizer(), reward_router_address=address)
        answer = await worker.compute_score(rollout(WRONG, ledger=ToolLedger()))
        if own:
            await worker.reward_manager.checker.judge.close()
        return answer

    with serving(verdict("correct")) as (service, url):
        answer = asyncio.run(run(url.removeprefix("http://")))
    if own:
        assert answer["reward_extra_info"]["acc"] == 1.0 and service.asked[0].body["model"] == "judge"
    else:
        assert answer == "a score" and not service.asked
