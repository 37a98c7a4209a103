"""Which calls a group shows to be needless, and which to be missed."""

from dataclasses import replace

import pytest

from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.evaluation.dumps.siblings import by_group, call_needs

ONE = Rollout("i", "train", "s", 1, "g", 0, (), (), outcome="correct", calls=0)


def rollout(calls, outcome):
    return replace(ONE, calls=calls, outcome=outcome)


@pytest.mark.parametrize(
    ("group", "needs"),
    [
        ([(1, "correct"), (0, "correct"), (2, "wrong")], ["needless", "", ""]),
        ([(1, "correct"), (0, "wrong")], ["", "missed"]),
        ([(1, "correct"), (0, "wrong"), (0, "correct")], ["needless", "missed", ""]),
        # what is not known shows nothing, and is called nothing
        ([(1, "correct"), (0, "unknown"), (0, "lost")], ["", "", ""]),
        ([(1, "unknown"), (0, "correct"), (0, "wrong")], ["", "", ""]),
        ([(None, "correct"), (0, "wrong"), (1, "wrong")], ["", "", ""]),
        ([(1, "correct")], [""]),
    ],
)
def test_call_needs(group, needs):
    assert call_needs([rollout(*one) for one in group]) == needs


def test_groups_keep_their_order_wherever_their_rollouts_stand():
    a, b = replace(ONE, group="a"), replace(ONE, group="b")
    assert by_group([b, a, b]) == [[b, b], [a]]
