"""Rollouts as verl's agent loop leaves them, made up: groups of eight, two tools, up to three calls."""

from __future__ import annotations

import random

from verl_hdpo.outcomes.ledger import LEDGER_KEY, ToolLedger

GROUP = 8
SOURCES = ("arithmetic", "search")


def keys(rollouts: int) -> list[str]:
    """``{uid}_{session}_{index}``, with uids as long as verl's."""
    return [f"{i // GROUP:08x}-0000-4000-8000-000000000000_{i % GROUP}_0" for i in range(rollouts)]


def extra_fields(rollouts: int) -> list[dict[str, object]]:
    """What ``hdpo_tool_agent`` and the ``hdpo`` reward manager report of each rollout."""
    chance = random.Random(0)
    return [_extra_fields(chance) for _ in range(rollouts)]


def _extra_fields(chance: random.Random) -> dict[str, object]:
    correct, ledger = float(chance.random() < 0.6), ToolLedger()
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        ledger.rounds += 1
        outcome = "executed" if chance.random() < 0.9 else "failed"
        ledger.record(chance.choice(("calculator", "text_search")), outcome, chance.random())
    info = {"acc": correct, "outcome_known": 1.0, "format": 1.0, "answer": correct, "tool_calls": float(ledger.rounds)}
    return {
        "reward_extra_info": info,
        LEDGER_KEY: ledger.to_dict(),
        "min_global_steps": 1,
        "max_global_steps": 1,
    }
