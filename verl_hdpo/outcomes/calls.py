"""From what is recorded of a rollout's tool calls to T, their number, and C, their cost."""

from __future__ import annotations

import math
from typing import Any

from verl_hdpo.outcomes.ledger import ToolLedger, rounds_from_num_turns
from verl_hdpo.outcomes.numbers import reported_number
from verl_hdpo.outcomes.outcome import OutcomeError
from verl_hdpo.settings.outcomes import OutcomeSettings


def count_calls(ledger: ToolLedger | None, reported: Any, num_turns: int, settings: OutcomeSettings) -> int:
    """T: from the ledger; else as the reward manager reports it (verl's validation keeps no ledger); else rounds.

    Raises:
        OutcomeError: what is reported under ``tool_calls`` is not a number.
    """
    if ledger is not None:
        return ledger.count(settings.count_calls)
    if reported is None:
        return rounds_from_num_turns(num_turns)
    advice = "a key of this name holds the number of tool calls; rename yours"
    calls = reported_number(reported, "tool_calls", advice)
    return rounds_from_num_turns(num_turns) if math.isnan(calls) else int(calls)


def cost_of_calls(ledger: ToolLedger | None, calls: int, settings: OutcomeSettings) -> float:
    """C: T where no tool has a cost of its own.

    Raises:
        OutcomeError: tools have costs, and no ledger says which of them the rollout called.
    """
    if not settings.tool_costs:
        return float(calls)
    if ledger is None:
        raise OutcomeError(
            "algorithm.hdpo.tool_costs needs to know which tools a rollout called, and its agent loop kept no "
            "ledger; set actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent (and no other "
            "agent_name in the data), or remove tool_costs"
        )
    return ledger.cost(settings.count_calls, settings.tool_costs)
