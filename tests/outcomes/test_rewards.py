"""Formulas of the rewards, and the settings under ``reward.reward_kwargs``."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_hdpo.outcomes.rewards import (
    RewardSettings,
    RewardSettingsError,
    accuracy_reward,
    hdpo_signal,
    tool_reward,
)


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answer_wieght": 1}, "unknown setting reward.reward_kwargs.answer_wieght"),
        ({"overlong_buffer_cfg": {}}, "unknown setting reward.reward_kwargs.overlong_buffer_cfg"),
        ({"answer_weight": 0}, "answer_weight must be a number > 0, found 0"),
        ({"answer_weight": True}, "answer_weight must be a number > 0"),
        ({"format_weight": -0.1}, "format_weight must be a number >= 0"),
        ({"check": "judge"}, "check must be one of auto, exact, math, found 'judge'"),
        ({"check_timeout": 0}, "check_timeout must be a number of seconds > 0"),
        ({"answer_pattern": "<a>.*</a>"}, "answer_pattern must be a regular expression with exactly one group"),
        ({"answer_pattern": "("}, "answer_pattern must be a regular expression"),
        ({"answer_pattern": None}, "answer_pattern must be a regular expression"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message):
    with pytest.raises(RewardSettingsError, match=message.replace("(", r"\(")):
        RewardSettings.from_mapping(settings)


def test_settings_default_to_the_papers():
    assert RewardSettings.from_mapping(None) == RewardSettings(0.9, 0.1, "auto")
