"""An outcome survives the way from the reward manager to the trainer, and a user's own columns are read plainly."""

import math

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from verl_hdpo.outcomes.ledger import ToolLedger
from verl_hdpo.outcomes.outcome import Outcome, OutcomeError
from verl_hdpo.outcomes.report import read_outcome, write_error, write_outcome
from verl_hdpo.outcomes.result import outcome_of_result
from verl_hdpo.settings.algorithms import HDPOSettings
from verl_hdpo.settings.outcomes import OutcomeSettings
from verl_hdpo.settings.reward import RewardSettings

shares = st.floats(0, 1)
outcomes = st.builds(Outcome.graded, shares, st.sampled_from(["rules", "judge", ""]), shares) | st.builds(
    Outcome.unknown, st.sampled_from(["judge_down", ""])
)


@given(outcome=outcomes, format_ok=st.sampled_from([0.0, 1.0]), calls=st.integers(0, 9))
def test_what_is_written_is_read(outcome, format_ok, calls):
    written = write_outcome(outcome, format_ok, calls, None, RewardSettings(), HDPOSettings())
    read = read_outcome(written["reward_extra_info"], OutcomeSettings())
    assert (read.known, read.acc, read.source) == (outcome.known, outcome.acc, outcome.source)
    numbers = [value for value in written["reward_extra_info"].values() if not isinstance(value, str)]
    assert all(type(value) is float and math.isfinite(value) for value in [written["reward_score"], *numbers])


def test_a_tool_that_was_down_is_read_as_unknown():
    written = write_outcome(Outcome.right(), 1.0, 0, ToolLedger(unavailable=1), RewardSettings(), HDPOSettings())
    assert read_outcome(written["reward_extra_info"], OutcomeSettings()) == Outcome.unknown("tool_unavailable")


def test_an_error_is_raised_where_it_is_read():
    info = write_error(KeyError("spans"), RewardSettings())["reward_extra_info"]
    with pytest.raises(OutcomeError, match="could not score a rollout: 'spans'"):
        read_outcome(info, OutcomeSettings())


@pytest.mark.parametrize(
    "one", [1, True, 1.0, np.float32(1), np.int64(1), np.bool_(True), torch.tensor(1.0), np.array(1)]
)
def test_every_kind_of_number_is_a_number(one):
    assert read_outcome({"acc": one}, OutcomeSettings()) == Outcome.right()
    assert outcome_of_result(one).acc == outcome_of_result({"score": one}).acc == 1.0


class NoNumber:
    def __float__(self):
        raise RuntimeError("boom")


ODD = ["True", "1", [1], np.array([1.0]), {"a": 1}, math.inf, -math.inf, b"1", 10**400, 1j, NoNumber(), pandas.NA]


@pytest.mark.parametrize("value", ODD)
def test_what_is_no_number_is_told_plainly(value):
    with pytest.raises(OutcomeError, match=r"reward_extra_info\['acc'\] must be a finite number, found"):
        read_outcome({"acc": value}, OutcomeSettings())
    with pytest.raises(OutcomeError, match=r"must return a score \(and acc\) in \[0, 1\]"):
        outcome_of_result({"score": value})


@pytest.mark.parametrize(
    ("info", "known"),
    [
        ({"acc": 1, "timeout": False}, True),
        ({"acc": 1, "error": ""}, True),
        ({"acc": 1, "timeout": True}, False),
        ({"acc": 0, "error": "503"}, False),
    ],
)
def test_a_flag_that_is_off_is_no_failure(info, known):
    assert read_outcome(info, OutcomeSettings()).known == known


@pytest.mark.parametrize("value", ODD)
def test_neither_is_a_flag_that_is_no_number(value):
    """\"False\" would be taken for true."""
    for read, told in ((read_outcome, {"acc": 1}), (outcome_of_result, {"score": 1})):
        with pytest.raises(OutcomeError, match=r"\['outcome_known'\] must be a finite number, found"):
            read({**told, "outcome_known": value}, *[OutcomeSettings()][: read is read_outcome])


@pytest.mark.parametrize(("value", "known"), [(None, True), (math.nan, True), (True, True), (2, True), (0.0, False)])
def test_a_flag_that_is_missing_is_on(value, known):
    assert read_outcome({"acc": 1, "outcome_known": value}, OutcomeSettings()).known == known
    assert outcome_of_result({"score": 1, "outcome_known": value}).known == known


@pytest.mark.parametrize(
    "result", [1.0000000000000002, {"score": 0.7 + 0.2 + 0.1 + 1e-12}, -1e-12, {"score": 1, "acc": 1.0000001}]
)
def test_rounding_is_no_mistake(result):
    outcome = outcome_of_result(result)
    assert 0 <= outcome.score <= 1 and 0 <= outcome.acc <= 1


@pytest.mark.parametrize("result", [{"acc": 1}, {}, {"reward": 1}])
def test_a_dict_without_a_score_is_a_mistake_and_not_an_unknown_outcome(result):
    with pytest.raises(OutcomeError, match="has no 'score'"):
        outcome_of_result(result)


@pytest.mark.parametrize("result", [None, math.nan, {"score": None}, {"score": 1, "acc": None}, {"outcome_known": 0}])
def test_a_function_may_say_that_it_could_not_tell(result):
    assert not outcome_of_result(result).known
