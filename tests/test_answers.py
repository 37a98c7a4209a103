"""Finding the answer in model tokens only, and three-valued checking."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_hdpo.answers import (
    RuleChecker,
    Verdict,
    extract_answer,
    follows_format,
    ground_truths,
    plain_number,
)

CORRECT, WRONG, UNKNOWN = Verdict


def check(answer, ground_truth, how="auto", timeout=20.0):
    return asyncio.run(RuleChecker(how, timeout)(answer, ground_truth, "", {}))


@pytest.mark.parametrize(
    ("turns", "answer"),
    [
        (["<answer>1</answer>"], "1"),
        (["<answer>1</answer> no, <answer> 2\n</answer>"], "2"),
        (["<answer>1</answer>", "so that is it"], "1"),
        (["<answer>1<answer>2</answer>"], "2"),
        (["<answer>1", "2</answer>"], None),
        (["nothing"], None),
        ([], None),
        (["<answer></answer>"], ""),
    ],
)
def test_the_last_answer_within_one_turn_counts(turns, answer):
    assert extract_answer(turns) == answer


pieces = st.lists(st.sampled_from(["<answer>", "</answer>", "<reason>", "</reason>", "4", "x", " "]), max_size=8).map(
    "".join
)


@given(turns=st.lists(pieces, max_size=4))
def test_an_answer_is_found_iff_some_turn_holds_one_on_its_own(turns):
    assert (extract_answer(turns) is None) == all(extract_answer([turn]) is None for turn in turns)


@pytest.mark.parametrize(
    ("last_turn", "good"),
    [
        ("<answer>4</answer>", True),
        ("<reason>2+2</reason>\n<answer>4</answer>\n", True),
        ("free text <answer>4</answer>", True),
        ("<answer>4</answer> I think", False),
        ("<answer>3</answer><answer>4</answer>", False),
        ("<answer>3<answer>4</answer>", False),
        ("</answer><answer>4</answer>", False),
        ("<answer>4", False),
        ("", False),
    ],
)
def test_the_format_is_one_answer_at_the_end_of_the_last_turn(last_turn, good):
    assert follows_format(["<answer>before</answer>", last_turn]) is good


def test_no_turn_has_no_format():
    assert not follows_format([])


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
    ],
)
def test_auto_check(answer, ground_truth, verdict):
    assert check(answer, ground_truth) is verdict


def test_exact_and_math_differ_from_auto():
    assert check("0.5", "1/2", "exact") is WRONG
    assert check("1 / 2 ", "1 / 2", "exact") is CORRECT
    assert check("0.5", "1/2", "math") is CORRECT
    assert check("blue", "blue", "math") is UNKNOWN  # nothing to compare as mathematics: a setting to change


def test_any_of_several_ground_truths_is_enough():
    for several in (["eleven", "12"], ("11", "12"), np.array(["11", "12"], dtype=object), [11, 12]):
        assert check("12", several) is CORRECT
        assert check("13", several) is WRONG
    assert check("12", []) is check("12", None) is UNKNOWN
    assert ground_truths(7) == ["7"]


@pytest.mark.parametrize(
    "bomb", ["9**9**9", "9^{9^9}", "10^{99999}", "99999!", "3!!!!", "9^{9*99*9}", "(" * 200, "1" * 5000]
)
def test_an_answer_that_would_explode_is_wrong_and_not_unknown(bomb):
    assert check(bomb, "x^2 + 1", timeout=2.0) is WRONG


def test_a_comparison_past_its_limit_is_killed_unknown_and_does_not_outlive_it():
    """Here the ground truth explodes, so the comparison really runs; the next one gets a new process."""
    assert check("3", "9^{9^9}", timeout=1.0) is UNKNOWN
    assert check("2x", "x+x") is CORRECT


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3))
def test_plain_numbers_are_read_exactly(value):
    assert plain_number(f"{value:f}") == plain_number(f"{value:,f}") == value


@given(st.text(max_size=30))
def test_no_text_breaks_the_number_reader(text):
    plain_number(text)
