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


@pytest.mark.parametrize(
    ("answer", "ground_truth", "verdict"),
    [
        ("408", "408", CORRECT),
        ("408.0", "408", CORRECT),
        ("1,234", "1234", CORRECT),
        ("$-3$", "\u22123", CORRECT),
        ("409", "408", WRONG),
        ("0.1000000000000000000001", "0.1", WRONG),
        ("1/2", "0.5", CORRECT),
        ("50\\%", "0.5", CORRECT),
        ("4.08\\times 10^2", "408", CORRECT),
        ("1+x", "x+1", CORRECT),
        ("x**10", "x^{10}", CORRECT),
        ("x-1", "x+1", WRONG),
        ("  Blue. ", "blue", CORRECT),
        ("lube", "blue", WRONG),  # math-verify alone would call the two products equal
        ("b", "A", WRONG),
        ("", "3", WRONG),
        ("12*34", "408", WRONG),  # the question given back
        ("816/2", "408", WRONG),
        ("400 + 8", "408", WRONG),
        ("12 34", "408", WRONG),
        ("12(34)", "408", WRONG),
        ("$7$ $408$", "408", WRONG),  # math-verify takes the last
        ("1=2=408", "408", WRONG),
        ("x = 408 cm", "408", CORRECT),
        ("x+2 = x+1", "x+1", WRONG),
        ("f(x) = x+1", "x+1", CORRECT),
        ("$x+2$, $x+1$", "x+1", WRONG),
        ("x+1=y", "y=x+1", CORRECT),
        (")]}$\\frac{", "x^2", WRONG),
        # how numbers are set
        ("30^\\circ", "30", CORRECT),
        ("30°", "30^\\circ", CORRECT),
        ("25\\text{ cm}^2", "25", CORRECT),
        ("10,\\!000", "10000", CORRECT),
        ("10{,}000", "10000", CORRECT),
        ("1\\frac{1}{2}", "1.5", CORRECT),
        ("1 1/2", "1.5", CORRECT),
        ("-1\\frac{1}{2}", "-1.5", CORRECT),
        ("1\\frac{1}{2}", "0.5", WRONG),
        ("The answer is -5", "-5", CORRECT),
        ("9 -4", "-4", WRONG),
        ("\\$18", "18", CORRECT),
        ("\\$1,200", "1200", CORRECT),
        ("18", "\\$18", CORRECT),
        ("$\\$18$", "18", CORRECT),
        ("18 dollars", "18", CORRECT),
        # what is counted
        ("72 eggs", "72", CORRECT),
        ("72 eggs.", "72", CORRECT),
        ("72 people are left", "72", CORRECT),
        ("x = 72 eggs", "72", CORRECT),
        ("1 1/2 cups", "1.5", CORRECT),
        ("72 km/h", "72", CORRECT),
        ("£1,200", "1200", CORRECT),
        ("**72**", "72", CORRECT),
        ("-72 eggs", "72", WRONG),
        ("72 eggs and 3 more", "72", WRONG),
        ("12*6 eggs", "72", WRONG),
        ("72 and a half", "72", WRONG),
        ("72 dozen eggs", "72", WRONG),
        ("72!", "72", WRONG),
        ("72 " + "a" * 200 + "!", "72", WRONG),
        ("5 million", "5", WRONG),
        ("50 percent", "0.5", CORRECT),
        ("50\\%", "50", CORRECT),
        ("5\\%", "0.05", CORRECT),
        ("x = 0.05", "0.05", CORRECT),
        ("40\\text{ or }8", "408", WRONG),
        ("408\\text{ or 409}", "408", WRONG),
        ("40^\\circ8", "408", WRONG),
        ("40\\$8", "408", WRONG),
        ("40\\,8", "408", WRONG),
        ("10\\,000", "10000", CORRECT),
        ("\\text{So }408\\text{ cm}", "408", CORRECT),
        # powers
        ("10²", "100", CORRECT),  # a power of ten is a way to write a number
        ("2²", "4", WRONG),  # left to do
        ("10²", "102", WRONG),
        ("2³²", "232", WRONG),
        ("103", "10³", WRONG),
        ("1000", "10³", CORRECT),
        ("x^2", "x²", CORRECT),
        ("1e-05", "0.00001", CORRECT),
        ("0.00001", 1e-05, CORRECT),
        ("10000000000000000", 1e16, CORRECT),
        # small numbers, of which math-verify keeps six decimals
        ("0.0", "6.63\\times 10^{-34}", WRONG),
        ("6.63e-34", "6.63\\times 10^{-34}", CORRECT),
        ("0.0", "1.6 \\times 10^{-19} \\text{ C}", WRONG),
        ("1.6e-19", "1.6 \\times 10^{-19} \\text{ C}", CORRECT),
        ("0.0", "\\frac{1}{10000000}", WRONG),
        ("1e-07", "\\frac{1}{10000000}", CORRECT),
        ("2e-1", "-1+2e", CORRECT),
        ("\\frac{2}{30}", "\\frac{1}{15}", CORRECT),
        ("0.066667", "\\frac{1}{15}", CORRECT),
        ("-0.0000001", "2\\times 10^{-7}", WRONG),
        # left to do
        ("\\sqrt{166464}", "408", WRONG),
        ("sqrt(166464)", "408", WRONG),
        ("\\ln(\\exp(408))", "408", WRONG),
        ("\\lfloor 408.7 \\rfloor", "408", WRONG),
        ("-(-5)", "5", WRONG),
        ("\\ge 5", "5", WRONG),
        ("\\not 5", "5", WRONG),
        ("\\sqrt{4}", "\\sqrt{2}^2", CORRECT),
        # several
        ("x+2 or $x+1$", "x+1", WRONG),
        ("x+2 \\boxed{x+1}", "x+1", WRONG),
        ("1/2 or $3/4$", "\\frac34", WRONG),
        ("the answer is $x+1$", "x+1", CORRECT),
        ("$\\frac{3}{4}$ cm^2", "\\frac34", CORRECT),
        # no mathematics
        ("2017", "2020-01-02", WRONG),
        ("2", "3-1", WRONG),
        ("3/45", "3:45", WRONG),
        ("-2x+3", "3-2x", CORRECT),
        ("2-\\sqrt{3}", "2-3^{1/2}", CORRECT),
        ("10 MA", "10 AM", WRONG),
        ("3:45 p.m.", "3:45 P.M.", CORRECT),
        ("3/45", "3:45 PM", WRONG),
        ("10 am", "10 AM", CORRECT),
        ("2U", "U2", WRONG),
        ("1990", "1990s", WRONG),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", CORRECT),
        ("\\begin{pmatrix}2\\\\1\\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", WRONG),
    ],
)
def test_auto_check(answer, ground_truth, verdict):
    assert check(answer, ground_truth) == verdict


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
