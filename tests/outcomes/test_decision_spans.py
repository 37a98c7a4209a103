"""Which tokens of a trajectory decide about calls. A token here is a character, so that every cut is seen."""

from __future__ import annotations

import pytest

from verl_hdpo.outcomes.decision_spans import decision_spans

OPENINGS = ("<call>", "<answer>")


def decided(text, turns=None):
    """The texts of the decisions."""
    spans = decision_spans([*text], turns or [[0, len(text)]], OPENINGS, "".join)
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("think <call>add(1)</call>", "think <call>"),
        ("<answer>4</answer>", "<answer>"),
        ("<call>a</call><answer>4", "<call>"),
        ("so <answer>4</answer> not <call>", "so <answer>"),
        ("neither", "neither"),
        ("<cal", "<cal"),
        ("", ""),
    ],
)
def test_up_to_the_first_opening_and_it_is_part_of_it(text, decision):
    assert decided(text) == [decision]


def test_each_turn_has_its_own_and_what_stands_between_is_none_of_it():
    text = "a <call>x</call>|<answer> of a tool|b <answer>4"
    first = text.index("|")
    second = text.rindex("|") + 1
    assert decided(text, [[0, first], [second, len(text)]]) == ["a <call>", "b <answer>"]


def test_an_opening_may_end_within_a_token():
    spans = decision_spans(["say ", "<ca", "ll>add", "(1)"], [[0, 4]], OPENINGS, "".join)
    assert spans == [[0, 3]]
