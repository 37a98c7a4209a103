"""Finding the answer in model tokens only, and three-valued checking."""

import asyncio
import os
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_hdpo.grading import math_process
from verl_hdpo.grading.numbers import read_number
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.rules import RuleChecker
from verl_hdpo.grading.worker_process import WorkerStalled

CORRECT, WRONG, UNKNOWN = "correct", "wrong", "unknown"


def check(answer, ground_truth, how="auto", timeout=20.0):
    found = asyncio.run(RuleChecker(how, timeout)(answer, ground_truth, Question(""), {}))
    return (CORRECT if found.acc == 1 else WRONG) if found.known else UNKNOWN


def test_exact_and_math_differ_from_auto():
    assert check("0.5", "1/2", "exact") == WRONG
    assert check("1 / 2 ", "1 / 2", "exact") == CORRECT
    assert check("0.5", "1/2", "math") == CORRECT
    assert check("red", "blue", "math") == UNKNOWN  # nothing to compare as mathematics: a setting to change


def test_any_of_several_ground_truths_is_enough():
    for several in (["eleven", "12"], ("11", "12"), np.array(["11", "12"], dtype=object), [11, 12]):
        assert check("12", several) == CORRECT
        assert check("13", several) == WRONG


@pytest.mark.parametrize(
    "bomb", ["9**9**9", "9^{9^9}", "10^{99999}", "99999!", "3!!!!", "9^{9*99*9}", "(" * 200, "1" * 5000]
)
def test_an_answer_that_would_explode_is_wrong_and_not_unknown(bomb):
    assert check(bomb, "x^2 + 1", timeout=2.0) == WRONG


@pytest.mark.parametrize(
    ("bomb", "ground_truth"), [("\\Gamma(99999999)", "408"), ("(999*999*999)!", "x+1"), ("(x+y+z+w+1)^{99}", "x+1")]
)
def test_so_is_one_that_is_seen_to_explode_in_the_attempt(bomb, ground_truth):
    assert check(bomb, ground_truth, timeout=3.0) == WRONG


def test_a_comparison_past_its_limit_is_killed_unknown_and_does_not_outlive_it():
    """Here the ground truth explodes, so the comparison really runs; the next one gets a new process."""
    assert check("3", "9^{9^9}", timeout=1.0) == UNKNOWN
    assert check("2x", "x+x") == CORRECT


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3))
def test_plain_numbers_are_read_exactly(value):
    assert read_number(f"{value:f}").value == read_number(f"{value:,f}").value == value


@given(st.text(max_size=30))
def test_no_text_breaks_the_number_reader(text):
    read_number(text)


def test_a_comparison_that_the_machine_holds_up_is_unknown(monkeypatch):
    """The worker is stopped, and so does no work at all: the clock ends it, and the next one is another."""
    assert math_process.equal("x+x", "2x", 20.0)
    worker = math_process.pool()._local.worker.process
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerStalled) as stalled:
        math_process.equal("x+x", "2x", 0.01)
    assert worker.poll() == -signal.SIGKILL
    assert math_process.equal("x+x", "2x", 20.0)

    def stall(*_):
        raise stalled.value

    monkeypatch.setattr(math_process, "equal", stall)
    assert check("\\int_0^x 2t dt", "\\sum_{n=1}^{3} x^n") == UNKNOWN
