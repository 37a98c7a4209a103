"""The seam between reward manager and trainer: an ``Outcome`` as the columns of ``reward_extra_info``, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from verl_hdpo.outcomes.calls import cost_of_calls
from verl_hdpo.outcomes.ledger import CALL_STATUSES, ToolLedger
from verl_hdpo.outcomes.numbers import reported_flag, reported_number
from verl_hdpo.outcomes.outcome import Outcome, OutcomeError
from verl_hdpo.outcomes.rewards import accuracy_reward, hdpo_signal, tool_reward
from verl_hdpo.settings.algorithms import HDPOSettings
from verl_hdpo.settings.outcomes import OutcomeSettings
from verl_hdpo.settings.reward import RewardSettings

REWARD_ERROR = "reward_error"
"""Key under which the ``hdpo`` reward manager reports why it could not score a rollout, in place of raising: verl drops
a rollout whose reward raises, and goes on with its siblings."""

SOURCE_KEY = "outcome_source"
"""Key of ``Outcome.source``; it and ``ANSWER_KEY`` are the only texts among the columns."""

ANSWER_KEY = "answer_seen"
"""Key of ``Outcome.seen``."""


class RewardReport(NamedTuple):
    """What the ``hdpo`` reward manager reports of a rollout beside its score: the same keys for each.

    Attributes:
        acc: score of the answer in [0, 1]; 0 if the outcome is unknown.
        format: whether the response has the format asked for.
        outcome_known: 0 if the check, or a tool that was called, failed to run.
        accuracy_reward: r_acc.
        tool_reward: r_tool.
        tool_calls: T, by ``algorithm.hdpo.count_calls``.
        tool_used: whether T > 0.
        hdpo_signal: see :func:`verl_hdpo.outcomes.rewards.hdpo_signal`.
        tool_executed: calls that a tool answered; likewise those that failed, timed out, or were dropped.
    """

    acc: float = 0.0
    format: float = 0.0
    outcome_known: float = 0.0
    accuracy_reward: float = 0.0
    tool_reward: float = 0.0
    tool_calls: float = 0.0
    tool_used: float = 0.0
    hdpo_signal: float = 0.0
    tool_executed: float = 0.0
    tool_failed: float = 0.0
    tool_timed_out: float = 0.0
    tool_dropped: float = 0.0


def write_outcome(
    outcome: Outcome,
    format_ok: float,
    calls: int,
    ledger: ToolLedger | None,
    reward: RewardSettings,
    hdpo: HDPOSettings,
) -> dict[str, Any]:
    """verl's answer of a reward manager: ``reward_score`` = r_acc, and ``reward_extra_info``.

    Args:
        calls: T of the rollout.
        ledger: its ledger; None where the loop kept none.
    """
    if ledger is not None and ledger.unavailable:  # with the tool at hand it might have ended otherwise
        outcome = Outcome.unknown("tool_unavailable")
    correct = outcome.known and outcome.acc > hdpo.correct_threshold
    cost = cost_of_calls(ledger, calls, hdpo)
    weights = reward.answer_weight, reward.format_weight
    r_acc = accuracy_reward(outcome.score, format_ok, *weights) if outcome.known else 0.0
    report = RewardReport(
        acc=outcome.acc,
        format=format_ok,
        outcome_known=outcome.known,
        accuracy_reward=r_acc,
        tool_reward=tool_reward(correct, cost),
        tool_calls=calls,
        tool_used=calls > 0,
        # A channel without weight is no reason to keep a group.
        hdpo_signal=hdpo_signal(r_acc if hdpo.w_acc else 0.0, correct and hdpo.w_tool > 0, cost),
        **{f"tool_{how}": (ledger or ToolLedger()).total(how) for how in CALL_STATUSES},
    )
    return _answer(r_acc, report, outcome, reward)


def write_error(error: Exception, reward: RewardSettings) -> dict[str, Any]:
    """The same for a rollout that cannot be scored because of a mistake in the set-up; it ends the run."""
    answer = _answer(0.0, RewardReport(), Outcome.unknown(), reward)
    answer["reward_extra_info"][REWARD_ERROR] = str(error) or repr(error)
    return answer


def _answer(r_acc: float, report: RewardReport, outcome: Outcome, reward: RewardSettings) -> dict[str, Any]:
    info: dict[str, Any] = {name: float(value) for name, value in report._asdict().items()}
    if reward.judge is not None:
        info |= outcome.judge.columns
    return {
        "reward_score": float(r_acc),
        "reward_extra_info": info | {SOURCE_KEY: outcome.source, ANSWER_KEY: outcome.seen},
    }


def read_outcome(info: Mapping[str, Any], settings: OutcomeSettings) -> Outcome:
    """What any reward manager reported; the inverse of :func:`write_outcome` but for the score, which is in r_acc.

    Raises:
        OutcomeError: ``info`` has no ``correct_key``, or no number there, or says that it could not be made.
    """
    if REWARD_ERROR in info:
        raise OutcomeError(f"the reward manager could not score a rollout: {info[REWARD_ERROR]}")
    source = str(info.get(SOURCE_KEY) or "")
    if not reported_flag(info.get(settings.known_key), settings.known_key):
        return Outcome.unknown(source)
    # What verl's rate_limited manager (reward_manager/limited.py) reports with acc=0 when the reward function raised or
    # ran out of time; with a dict of the function's own there is a score.
    if "score" not in info and (info.get("timeout") or info.get("error")):
        return Outcome.unknown("reward_function")
    key = settings.correct_key
    if key not in info:
        raise OutcomeError(
            f"HDPO needs to know which rollouts are correct: reward_extra_info has no key {key!r}, only "
            f"{sorted(info)}; return it from your reward function as a dict with 'score' and {key!r}, or name another "
            f"key with +algorithm.hdpo.correct_key=..."
        )
    if info[key] is None:
        return Outcome.unknown(source)
    acc = reported_number(info[key], key, "return 1 or 0, or None where the outcome is unknown")
    return Outcome.unknown(source) if math.isnan(acc) else Outcome.graded(acc, source)
