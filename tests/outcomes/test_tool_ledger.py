"""attempted = executed + failed + timed_out + dropped, and what T counts."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_hdpo.outcomes.ledger import CALL_STATUSES, ToolLedger, rounds_from_num_turns
from verl_hdpo.settings.outcomes import CountPolicy

COUNT_POLICIES = get_args(CountPolicy)

calls = st.lists(st.tuples(st.sampled_from(["python", "search"]), st.sampled_from(CALL_STATUSES), st.floats(0, 9)))


def ledger_of(recorded, rounds=0, unavailable=0):
    ledger = ToolLedger(rounds, unavailable)
    for call in recorded:
        ledger.record(*call)
    return ledger


@given(recorded=calls)
def test_every_call_ends_in_exactly_one_way(recorded):
    ledger = ledger_of(recorded)
    assert ledger.total("attempted") == len(recorded) == sum(ledger.total(name) for name in CALL_STATUSES)
    for outcome in CALL_STATUSES:
        assert ledger.total(outcome) == sum(end == outcome for _, end, _ in recorded)


@given(recorded=calls, rounds=st.integers(0, 9), unavailable=st.integers(0, 3))
def test_a_ledger_survives_the_trip_through_plain_containers(recorded, rounds, unavailable):
    ledger = ledger_of(recorded, rounds, unavailable)
    assert ToolLedger.from_dict(json.loads(json.dumps(ledger.to_dict()))) == ledger


def test_counting_policies():
    recorded = [("python", "executed"), ("python", "executed"), ("search", "failed"), ("search", "dropped")]
    ledger = ledger_of(recorded, rounds=2)
    assert [ledger.count(policy) for policy in COUNT_POLICIES] == [4, 2, 2]
    with pytest.raises(ValueError, match="unknown tool-call counting policy 'calls'"):
        ledger.count("calls")


@pytest.mark.parametrize(("num_turns", "rounds"), [(0, 0), (2, 0), (4, 1), (6, 2)])
def test_rounds_of_the_stock_loop(num_turns, rounds):
    assert rounds_from_num_turns(num_turns) == rounds


def test_costs_weigh_the_calls_of_each_tool():
    recorded = [("python", "executed"), ("python", "failed"), ("search", "executed"), ("search", "dropped")]
    ledger = ledger_of([(*call, 0.0) for call in recorded], rounds=2)
    assert ledger.cost("attempted", {"search": 3}) == 2 + 6
    assert ledger.cost("executed", {"search": 3}) == 1 + 3
    assert ledger.cost("attempted", {"search": 0, "python": 0.25}) == 0.5  # a free tool costs nothing
    assert ledger.cost("attempted", {"mcp": 9}) == 4
    assert ToolLedger().cost("attempted", {"search": 3}) == 0


@given(recorded=calls, rounds=st.integers(0, 9))
def test_without_costs_or_with_costs_of_one_it_is_the_count(recorded, rounds):
    ledger = ledger_of(recorded, rounds)
    for policy in COUNT_POLICIES:
        assert ledger.cost(policy, {}) == ledger.count(policy)
    for policy in ("attempted", "executed"):
        assert ledger.cost(policy, {"python": 1, "search": 1.0}) == ledger.count(policy)
