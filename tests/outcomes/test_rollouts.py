"""Rows to rollouts, and what is read of each rollout's outcome."""

import math

import pytest
import torch

from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.ledger import LEDGER_KEY, ToolLedger
from verl_hdpo.outcomes.outcome import OutcomeError
from verl_hdpo.outcomes.rollout_index import RolloutIndex
from verl_hdpo.settings.algorithms import HDPOSettings


def ledger(**tools):
    made = ToolLedger(rounds=1)
    for tool, outcomes in tools.items():
        for outcome in outcomes:
            made.record(tool, outcome)
    return made


def read(info, num_turns=2, fields=None, **settings):
    fields = {"reward_extra_info": info, **(fields or {})}
    return Outcomes.read([fields], [num_turns], HDPOSettings(**settings))


def test_only_the_last_output_of_a_session_counts_and_all_its_rows_share_the_result():
    keys = ["p_0_0", "q_x_0_1", "p_0_2", "p_0_1", "pad_0_0", "p_1_0", "q_x_0_0"]  # a uid may hold underscores
    index = RolloutIndex.from_keys(keys, [False] * 4 + [True] + [False] * 2)
    assert index.rollout_R.tolist() == [0, 1, 0, 0, -1, 2, 1]
    assert index.final_B.tolist() == [2, 1, 5]
    assert index.group_B.tolist() == [0, 1, 0]
    assert index.spread(torch.tensor([0.5, -1.0, 2.0])).tolist() == [0.5, -1.0, 0.5, 0.5, 0.0, 2.0, -1.0]
    assert index.spread(torch.tensor([True, False, True])).tolist() == [True, False, True, True, False, True, False]


def test_a_tool_that_was_down_makes_the_outcome_unknown_whatever_the_reward_says():
    ledger = ToolLedger(rounds=1, unavailable=1).to_dict()
    for acc in (0.0, 1.0):
        outcomes = read({"acc": acc}, fields={LEDGER_KEY: ledger})
        assert (outcomes.known_B.tolist(), outcomes.correct_B.tolist()) == ([False], [False])


def test_an_index_of_ten_comes_after_nine():
    assert RolloutIndex.from_keys(["p_0_10", "p_0_9"], [False, False]).final_B.tolist() == [0]


@pytest.mark.parametrize("key", ["p", "p_0", "p_0_x"])
def test_a_key_of_another_form_is_refused(key):
    with pytest.raises(ValueError, match="as verl's V1 trainer writes it"):
        RolloutIndex.from_keys([key], [False])


@pytest.mark.parametrize(
    ("info", "known", "correct"),
    [
        ({"acc": 1.0}, True, True),
        ({"acc": True}, True, True),
        ({"acc": 0}, True, False),
        ({"acc": 0.5}, True, False),  # the threshold itself is not passed
        ({"acc": 1.0, "outcome_known": 0.0}, False, False),
        ({"acc": 0.0, "outcome_known": 1.0}, True, False),
        ({"acc": math.nan}, False, False),
        ({"acc": None}, False, False),
        # verl's rate_limited manager, where the reward function did not answer or raised
        ({"acc": 0.0, "timeout": True}, False, False),
        ({"acc": 0.0, "error": "503"}, False, False),
        ({"acc": 0.0, "error": "", "score": 0.0}, True, False),  # a key of the function's own
    ],
)
def test_outcomes_are_three_valued(info, known, correct):
    outcomes = read(info)
    assert (outcomes.known_B.tolist(), outcomes.correct_B.tolist()) == ([known], [correct])


def test_a_rollout_without_a_verdict_says_what_was_found_and_what_to_do():
    with pytest.raises(OutcomeError, match=r"no key 'acc', only \['score'\].*correct_key"):
        read({"score": 1.0})


def test_correctness_may_have_another_name_and_threshold():
    assert read({"score": 0.4}, correct_key="score", correct_threshold=0.3).correct_B.tolist() == [True]


@pytest.mark.parametrize(("policy", "calls"), [("attempted", 4), ("executed", 2), ("rounds", 1)])
def test_tool_calls_are_counted_by_policy(policy, calls):
    fields = {LEDGER_KEY: ledger(calc=["executed", "failed"], search=["executed", "dropped"]).to_dict()}
    assert read({"acc": 1}, fields=fields, count_calls=policy).tool_calls_B.tolist() == [calls]


@pytest.mark.parametrize(("num_turns", "rounds"), [(0, 0), (2, 0), (4, 1), (5, 1), (8, 3)])
def test_without_a_ledger_tool_rounds_are_counted(num_turns, rounds):
    outcomes = read({"acc": 1}, num_turns=num_turns)
    assert outcomes.tool_calls_B.tolist() == [rounds]
    assert outcomes.ledgers == [None]


@pytest.mark.parametrize("value", ["3", [1, 2], {"python": 1}, math.inf])
def test_a_key_of_the_user_s_own_called_tool_calls_is_told_plainly(value):
    with pytest.raises(OutcomeError, match=r"reward_extra_info\['tool_calls'\] must be a finite number.*rename yours"):
        read({"acc": 1, "tool_calls": value}, num_turns=4)


def test_a_lost_rollout_is_unknown_whatever_its_report_says():
    outcomes = read({"acc": 1.0}, fields={"rollout_lost": "tool_answer"})
    assert (outcomes.known_B.tolist(), outcomes.lost, outcomes.sources) == ([False], ("tool_answer",), ("lost",))
    assert read({}, fields={"rollout_lost": "tool_answer"}).lost == ("tool_answer",)


def test_calls_that_the_reward_manager_reports_stand_in_for_a_missing_ledger():
    assert read({"acc": 1, "tool_calls": 3.0}, num_turns=4).tool_calls_B.tolist() == [3]
    assert read({"acc": 1, "tool_calls": None}, num_turns=4).tool_calls_B.tolist() == [1]


def test_a_validity_flag_that_other_samples_have_and_this_one_lacks_is_no_verdict():
    assert read({"acc": 1.0, "outcome_known": None}).known_B.tolist() == [True]


def test_costs_per_tool_take_the_place_of_calls():
    fields = {LEDGER_KEY: ledger(calc=["executed", "failed"], search=["executed", "dropped"]).to_dict()}
    for costs, expected in (({}, 4), ({"search": 3}, 8), ({"search": 0}, 2), ({"calc": 0, "search": 0}, 0)):
        config = HDPOSettings(tool_costs=costs)
        outcomes = Outcomes.read([{"reward_extra_info": {"acc": 1}, **fields}], [2], config)
        assert outcomes.cost(config).tolist() == [expected]
        assert outcomes.tool_calls_B.tolist() == [4]


def test_costs_without_a_ledger_are_refused():
    config = HDPOSettings(tool_costs={"search": 3})
    outcomes = Outcomes.read([{"reward_extra_info": {"acc": 1}}], [4], config)
    assert outcomes.cost(HDPOSettings()).tolist() == [1.0]
    with pytest.raises(OutcomeError, match=r"tool_costs needs to know which tools.*default_agent_loop=hdpo_tool_agent"):
        outcomes.cost(config)


def test_the_format_is_known_where_every_rollout_reports_it():
    def format_ok(*values):
        infos = [{"acc": 1} if value is None else {"acc": 1, "format": value} for value in values]
        fields = [{"reward_extra_info": info} for info in infos]
        return Outcomes.read(fields, [2] * len(fields), HDPOSettings()).format_ok_B

    assert format_ok(1.0, 0.0, True).tolist() == [True, False, True]
    assert format_ok(1.0, None) is None


def test_a_rollout_of_unknown_outcome_need_not_report_its_format():
    infos = [{"acc": 1, "format": 1.0}, {"acc": 0, "timeout": True}]
    outcomes = Outcomes.read([{"reward_extra_info": info} for info in infos], [2, 2], HDPOSettings())
    assert (outcomes.known_B.tolist(), outcomes.format_ok_B.tolist()) == ([True, False], [True, False])
