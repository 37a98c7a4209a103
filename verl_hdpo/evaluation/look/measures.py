"""``measures``: what a rollout was worth, by the names under which exports carry it."""

from __future__ import annotations

from typing import Any

from verl_hdpo.evaluation.dumps.rollout import Rollout


def measures(one: Rollout) -> dict[str, Any]:
    """Those of its values that its file says."""
    named = {
        "data_source": one.source,
        "phase": one.phase,
        "step": one.step,
        "group": one.group,
        "outcome": one.outcome,
        "verdict": one.verdict,
        "lost": one.lost,
        "reference": one.reference,
        "answer": one.answer,
        "accuracy": one.accuracy,
        "reward": one.reward,
        "accuracy_reward": one.r_acc,
        "tool_reward": one.r_tool,
        "tool_calls": one.calls,
        "accuracy_advantage": one.advantage,
        "tool_advantage": one.tool_advantage,
        "estimator": one.estimator,
    }
    return {name: value for name, value in named.items() if value is not None and value != ""}
