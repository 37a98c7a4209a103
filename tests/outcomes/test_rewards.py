"""Formulas of the rewards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_hdpo.outcomes.rewards import accuracy_reward, hdpo_signal, tool_reward


@pytest.mark.parametrize(
    ("answer", "format_ok", "expected"), [(1, 1, 1.0), (1, 0, 0.9), (0, 1, 0.1), (0, 0, 0.0), (0.5, 1, 0.55)]
)
def test_accuracy_reward_is_the_papers(answer, format_ok, expected):
    assert accuracy_reward(answer, format_ok) == pytest.approx(expected)


def test_tool_reward_is_one_over_calls_plus_one_for_correct_answers_only():
    assert [tool_reward(True, calls) for calls in (0, 1, 3)] == [1.0, 0.5, 0.25]
    assert tool_reward(False, 0) == 0.0


outcomes = st.tuples(st.booleans(), st.booleans(), st.integers(0, 12))


@given(group=st.lists(outcomes, min_size=2, max_size=16))
def test_a_group_has_spread_in_the_signal_exactly_when_a_reward_differs(group):
    """verl drops a group when np.std of the metric is 0.0, so rounding may not lend a constant group a spread."""
    rewards = {(accuracy_reward(a, f), tool_reward(a, calls)) for a, f, calls in group}
    signal = [hdpo_signal(accuracy_reward(a, f), a, calls) for a, f, calls in group]
    assert (float(np.std(signal)) == 0.0) == (len(rewards) == 1)


@given(group=st.lists(st.tuples(st.booleans(), st.sampled_from([0, 0.1, 0.5, 1, 2.5, 3])), min_size=2, max_size=16))
def test_costs_that_are_no_whole_numbers_are_told_apart_as_well(group):
    signal = [hdpo_signal(accuracy_reward(a, 1), a, cost) for a, cost in group]
    rewards = {(a, tool_reward(a, cost)) for a, cost in group}
    assert (float(np.std(signal)) == 0.0) == (len(rewards) == 1)


def test_the_two_rewards_added_as_fractions_would_keep_constant_groups():
    assert np.std([900.0 + 0.1] * 3 + [900.0 + 0.1] * 4) == pytest.approx(0.0)
    assert np.std([0.1] * 3) != 0.0


def test_an_unknown_outcome_never_hides_a_difference_between_known_ones():
    unknown, easy, hard = hdpo_signal(0.0, False, 0), hdpo_signal(1.0, True, 0), hdpo_signal(1.0, True, 2)
    assert np.std([unknown, easy, hard]) > 0
    assert np.std([unknown] * 8) == 0.0
