"""Which answer counts: the last whole one that the model gave, outside its thinking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_hdpo.grading.extract import extract_answer, follows_format
from verl_hdpo.settings.reward import ANSWER_PATTERN


@pytest.mark.parametrize(
    ("turns", "answer"),
    [
        (["<answer>1</answer>"], "1"),
        (["<answer>1</answer> no, <answer> 2\n</answer>"], "2"),
        (["<answer>1</answer>", "so that is it"], "1"),
        (["<answer>1<answer>2</answer>"], "2"),
        (["<answer>1</answer></answer>"], "1"),
        (["</answer><answer>1</answer>"], "1"),
        (["<answer>1", "2</answer>"], None),
        (["nothing"], None),
        ([], None),
        (["<answer></answer>"], ""),
        # cut off
        (["<answer>1</answer> no, <answer>2"], None),
        (["<answer>1</answer>", "no, <answer>2"], None),
        (["<answer>1</answer>", "no, </answer>"], "1"),
        # thinking
        (["<think><answer>1</answer></think>"], None),
        (["<think><answer>1</answer></think><answer>2</answer>"], "2"),
        (["<answer>2</answer><think><answer>1</answer></think>"], "2"),
        (["<answer>1</answer></think><answer>2</answer>"], "2"),
        (["<answer>1</answer></think>"], None),
        (["<think>is it <answer>1</answer>?"], None),
        (["<think>so <answer></think>5<answer>6</answer>"], "6"),
        (["<think>a</think><answer>1</answer><think>b</think> done"], "1"),
    ],
)
def test_the_last_whole_answer_outside_thinking_counts(turns, answer):
    assert extract_answer(turns) == answer


def test_a_pattern_of_one_s_own_sees_no_thinking_either():
    assert extract_answer(["<think>#### 1</think> #### 2 #### 3"], r"#### (\S+)") == "3"
    assert extract_answer(["<think>#### 1"], r"#### (\S+)") is None


pieces = st.lists(st.sampled_from(["<answer>", "</answer>", "<think>", "</think>", "4", "x", " "]), max_size=8).map(
    "".join
)


@given(turn=pieces)
def test_the_quick_search_finds_what_the_pattern_finds_unless_the_last_one_is_cut_off(turn):
    by_regex = extract_answer([turn], ANSWER_PATTERN + "(?:)")
    found = extract_answer([turn])
    assert found == by_regex or found is None


@given(turns=st.lists(pieces, max_size=4))
def test_what_follows_the_format_has_an_answer(turns):
    if follows_format(turns):
        assert extract_answer(turns) is not None


@pytest.mark.parametrize(
    ("last_turn", "good"),
    [
        ("<answer>4</answer>", True),
        ("<reason>2+2</reason>\n<answer>4</answer>\n", True),
        ("<think>2+2, <answer>5</answer>?</think><answer>4</answer>", True),
        ("free text <answer>4</answer>", True),
        ("<answer>4</answer> I think", False),
        ("<answer>3</answer><answer>4</answer>", False),
        ("<answer>3<answer>4</answer>", False),
        ("</answer><answer>4</answer>", False),
        ("<think><answer>4</answer>", False),
        ("<answer>4", False),
        ("", False),
    ],
)
def test_the_format_is_one_answer_at_the_end_of_the_last_turn(last_turn, good):
    assert follows_format(["<answer>before</answer>", last_turn]) is good


def test_no_turn_has_no_format():
    assert not follows_format([])
