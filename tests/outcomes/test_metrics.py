"""The hdpo/ metrics of a small batch, worked by hand."""

import pytest
import torch

from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.ledger import ToolLedger, ToolTally
from verl_hdpo.outcomes.metrics import (
    advantage_metrics,
    combined,
    completeness_metrics,
    ledger_metrics,
    means_per_source,
    per_source,
    tool_use_metrics,
)


def outcomes(tool_calls, correct, known=None, ledgers=None):
    known = [True] * len(tool_calls) if known is None else known
    return Outcomes(
        torch.tensor(known),
        torch.tensor(correct, dtype=torch.bool),
        torch.tensor(tool_calls),
        [None] * len(tool_calls) if ledgers is None else ledgers,
    )


def test_rates_and_conditional_accuracies():
    got = tool_use_metrics(outcomes([0, 0, 1, 3], [1, 0, 1, 0], known=[True, True, True, False]))
    assert got["tool_use_rate"] == 0.5
    assert (got["tool_calls/mean"], got["tool_calls/max"], got["tool_calls/p50"]) == (1.0, 3.0, 0.0)
    assert got["unknown_rate"] == 0.25
    assert got["accuracy"] == pytest.approx(2 / 3)
    assert (got["accuracy_given_tool"], got["accuracy_given_no_tool"]) == (1.0, 0.5)
    assert got["ledger_rate"] == 0.0


def test_a_condition_that_never_held_has_no_accuracy():
    assert "accuracy_given_tool" not in tool_use_metrics(outcomes([0, 0], [1, 0]))
    assert "accuracy" not in tool_use_metrics(outcomes([0], [0], known=[False]))


def test_means_per_source_leave_out_what_was_not_reported():
    values = {"x": [1.0, None, 3.0], "y": [None, None, 2.0]}
    assert means_per_source(values, ["a", "a", "b"]) == {"a/x": 1.0, "b/x": 3.0, "b/y": 2.0}


def test_sources_are_kept_apart():
    got = per_source(outcomes([0, 1, 2], [1, 1, 0]), ["a", "b", "a"])
    assert (got["a"]["tool_use_rate"], got["b"]["tool_use_rate"]) == (0.5, 1.0)
    assert got["a"]["accuracy"] == 0.5


def test_ledgers_are_summed_over_rollouts_and_tools():
    ledgers = [
        ToolLedger(rounds=1, tools={"calc": ToolTally(executed=2, failed=1, seconds=3.0)}),
        ToolLedger(rounds=1, tools={"search": ToolTally(timed_out=1, dropped=1, seconds=5.0)}),
    ]
    got = ledger_metrics(outcomes([3, 2], [1, 1], ledgers=ledgers))
    assert (got["tool_calls/executed"], got["tool_calls/failed"]) == (1.0, 0.5)
    assert (got["tool_calls/timed_out"], got["tool_calls/dropped"]) == (0.5, 0.5)
    assert (got["tools/calc/attempted"], got["tools/calc/seconds"]) == (1.5, 1.0)
    assert ledger_metrics(outcomes([0], [1])) == {}


def test_signal_of_each_channel():
    """Group 0 is all correct with T = 0 and 1; group 1 is mixed with one correct; group 2 has one known rollout."""
    group_B = torch.tensor([0, 0, 1, 1, 2, 2])
    data = outcomes([0, 1, 2, 0, 0, 0], [1, 1, 1, 0, 1, 0], known=[True] * 5 + [False])
    rewards_B = torch.tensor([1.0, 1.0, 1.0, 0.1, 1.0, 0.0])
    efficiency_B = torch.tensor([0.7, -0.7, 0, 0, 0, 0])
    got = advantage_metrics(rewards_B, torch.zeros(6), efficiency_B, group_B, data)
    assert got["qualifying_rate"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert got["acc/groups_with_signal"] == pytest.approx(1 / 3)
    assert got["tool/groups_with_signal"] == pytest.approx(1 / 3)
    assert got["tool/advantage_std"] == pytest.approx((0.98 / 6) ** 0.5)


def test_groups_that_arrive_short_or_not_at_all_are_counted():
    group_B = torch.tensor([0, 0, 0, 1, 2, 2, 2])  # of four groups of three, one lacks two and one lacks all
    assert completeness_metrics(group_B, groups=4, group_size=3) == {"groups_incomplete": 2, "rollouts_missing": 5}
    assert completeness_metrics(group_B, groups=2, group_size=1) == {"groups_incomplete": 0, "rollouts_missing": 0}


def test_updates_of_one_step_are_combined_by_rollouts():
    got = combined(
        [
            (30, {"tools/minimum/seconds": 1.0, "tool_calls/max": 3, "rollouts_missing": 2, "accuracy": 1.0}),
            (10, {"tools/minimum/seconds": 5.0, "tool_calls/max": 2, "rollouts_missing": 1}),
        ]
    )
    assert got == {"tools/minimum/seconds": 2.0, "tool_calls/max": 3, "rollouts_missing": 3, "accuracy": 1.0}
