"""The names under which this package stands in verl's registries, and those of verl's own parts."""

from __future__ import annotations

from verl_hdpo.settings.outcomes import OutcomeSettings

TRAINER_MODES = ("sync", "colocate_async", "separate_async")
AGENT_LOOP = "hdpo_tool_agent"
STOCK_LOOPS = STOCK_TOOLS, SINGLE_TURN = ("tool_agent", "single_turn_agent")
"""verl's own agent loops, neither of which keeps a ledger."""
REWARD_MANAGER = "hdpo"
STOCK_REWARD_MANAGERS = ("naive", "dapo", "gdpo", "rate_limited", "remote")
SIGNAL_KEY = "hdpo_signal"
CORRECT_KEY, KNOWN_KEY = OutcomeSettings().correct_key, OutcomeSettings().known_key
