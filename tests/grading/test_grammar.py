"""The paper's grammar, turn by turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_hdpo.grading.grammar import follows_reason_grammar

CALL = '<reason>look</reason><tool_call>{"name": "python", "arguments": {"code": "1 < 2"}}</tool_call>'
ANSWER = "<reason>seen</reason>\n<answer>4</answer>"


@pytest.mark.parametrize(
    "turns",
    [
        [ANSWER],
        [CALL, ANSWER],
        [CALL] * 9 + [ANSWER],
        [f"{CALL}\n{CALL.partition('</reason>')[2]}\n", ANSWER],
        [f"\n{ANSWER}\n"],
        ["<reason></reason><answer>a <b> c</answer>"],
    ],
)
def test_what_follows_it(turns):
    assert follows_reason_grammar(turns)


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [""],
        ["4"],
        ["<answer>4</answer>"],
        [CALL],
        [ANSWER, ANSWER],
        [CALL, "<answer>4</answer>"],
        [CALL.partition("</reason>")[2], ANSWER],
        [ANSWER + "."],
        ["So: " + ANSWER],
        ["<reason>a</reason> hm <answer>4</answer>"],
        ["<reason>a</reason><answer> </answer>"],
        ["<reason>a</reason><answer>4</answer><answer>5</answer>"],
        ["<reason>a</reason><answer>4"],
        ["<reason>a<answer>3</answer></reason><answer>4</answer>"],
        ["<answer>4</answer><reason>a</reason>"],
        ["<reason>a</reason><reason>b</reason><answer>4</answer>"],
        [CALL + "<answer>4</answer>"],
        ["<reason>a</reason><tool_call>python</tool_call>", ANSWER],
        ['<reason>a</reason><tool_call>{"name": "python"}</tool_call>', ANSWER],
        ['<reason>a</reason><tool_call>{"name": "python", "arguments": "1"}</tool_call>', ANSWER],
    ],
)
def test_what_does_not(turns):
    assert not follows_reason_grammar(turns)


PIECES = st.sampled_from(
    ["<reason>", "</reason>", "<tool_call>", "</tool_call>", "<answer>", "</answer>", "4", " ", "{}"]
)


@given(st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=3))
def test_it_never_fails_and_wants_one_answer_at_the_end(turns):
    if follows_reason_grammar(turns):
        assert "".join(turns).count("<answer>") == 1
        assert turns[-1].rstrip().endswith("</answer>")
        assert all(turn.lstrip().startswith("<reason>") for turn in turns)
