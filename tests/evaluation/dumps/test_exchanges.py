"""Which answer belongs to which call."""

from verl_hdpo.evaluation.dumps.exchanges import exchanges
from verl_hdpo.evaluation.dumps.rollout import Call, Turn

A, B = Call("a", "1"), Call("b", "2")


def tool(text):
    return Turn("tool", text)


def test_answers_follow_the_order_of_the_calls_and_those_that_never_ran_have_none():
    both, end = Turn("assistant", "", calls=(A, B)), Turn("assistant", "4")
    first, last = exchanges([both, tool("1"), end])
    assert first.answers == [(A, tool("1")), (B, None)]
    assert (last.said, last.answers, last.others) == (end, [], [])


def test_what_answers_no_call_is_kept():
    one = Turn("assistant", "", calls=(A,))
    (found,) = exchanges([one, tool("1"), tool("2"), Turn("user", "go on")])
    assert found.answers == [(A, tool("1"))]
    assert [turn.text for turn in found.others] == ["2", "go on"]
    (alone,) = exchanges([tool("1")])
    assert (alone.said.text, alone.others) == ("", [tool("1")])
