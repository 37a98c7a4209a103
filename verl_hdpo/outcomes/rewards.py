"""The rewards of HDPO (arXiv 2604.08545) for one rollout, and the settings under ``reward.reward_kwargs``.

r_acc = answer_weight * answer + format_weight * format, with 0.9 and 0.1 in the paper;
r_tool = 1/(C + 1) when the answer is correct, else 0, with C = T unless tools have costs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, get_args

from verl_hdpo.settings.hdpo import is_number

Check = Literal["auto", "exact", "math"]

ANSWER_PATTERN = r"<answer>((?:(?!</?answer>).)*)</answer>"

REWARD_ERROR = "reward_error"
"""Key under which the ``hdpo`` reward manager reports why it could not score a rollout, in place of raising: verl drops
a rollout whose reward raises, and goes on with its siblings."""

SIGNAL_LEVELS = 10_000
SIGNAL_COSTS = 1_000


def accuracy_reward(answer: float, format_ok: float, answer_weight: float = 0.9, format_weight: float = 0.1) -> float:
    """r_acc = answer_weight * answer + format_weight * format_ok; both arguments in [0, 1]."""
    return answer_weight * answer + format_weight * format_ok


def tool_reward(correct: bool, cost: float) -> float:
    """r_tool = 1/(C + 1) if correct, else 0; C = ``cost`` is T, the number of tool calls, if each costs 1.

    Format plays no part.
    """
    return 1.0 / (cost + 1) if correct else 0.0


def hdpo_signal(r_acc: float, correct: bool, cost: float) -> float:
    """round(10^4 r_acc) * 10^3 + (min(C, 998) + 1 if correct, else 0): equal iff both rewards are equal.

    For ``algorithm.filter_groups.metric``: verl drops a group when ``np.std`` of the metric is exactly 0
    (trainer/ppo/v1/replay_buffer.py). A multiple of 1/64, because the standard deviation of equal numbers need not
    be 0 where they are not sums of powers of 2 (``np.std([0.1] * 3)`` is 1.4e-17). It tells r_acc apart to 10^-4, and
    C, the cost of the tool calls (T if each costs 1), to 1/64 and up to 998.

    An unknown outcome is passed as ``hdpo_signal(0.0, False, 0)``. Two known rollouts that differ then always
    keep their group, and a group of unknown or worthless ones is dropped; one that is unknown in part and
    otherwise constant is kept for nothing. NaN would keep no less and would spoil validation means.
    """
    level = min(round(64 * cost) / 64, SIGNAL_COSTS - 2) + 1 if correct else 0
    return float(round(SIGNAL_LEVELS * r_acc) * SIGNAL_COSTS + level)


class RewardReport(NamedTuple):
    """What the ``hdpo`` reward manager reports of a rollout beside its score: the same numbers for each.

    Attributes:
        acc: score of the answer in [0, 1]; 0 if the outcome is unknown.
        format: whether the response has the format asked for.
        outcome_known: 0 if the check, or a tool that was called, failed to run.
        accuracy_reward: r_acc.
        tool_reward: r_tool.
        tool_calls: T, by ``algorithm.hdpo.count_calls``.
        tool_used: whether T > 0.
        hdpo_signal: see :func:`hdpo_signal`.
        tool_executed: calls that a tool answered; likewise those that failed, timed out, or were dropped.
    """

    acc: float
    format: float
    outcome_known: float
    accuracy_reward: float
    tool_reward: float
    tool_calls: float
    tool_used: float
    hdpo_signal: float
    tool_executed: float
    tool_failed: float
    tool_timed_out: float
    tool_dropped: float


class RewardSettingsError(ValueError):
    """A setting under ``reward.reward_kwargs`` that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class RewardSettings:
    """Settings of the ``hdpo`` reward manager, under ``reward.reward_kwargs``.

    Attributes:
        answer_weight: weight of the answer in r_acc, > 0.
        format_weight: weight of the format in r_acc, >= 0.
        check: how answers are compared: ``exact`` text, ``math``, or ``auto`` (exact, else math).
        answer_pattern: regular expression with one group, the answer; searched in model tokens only.
        check_timeout: seconds of processor time for a check, or by the clock for a call of a custom reward function.
    """

    answer_weight: float = 0.9
    format_weight: float = 0.1
    check: Check = "auto"
    answer_pattern: str = ANSWER_PATTERN
    check_timeout: float = 30.0

    def __post_init__(self) -> None:
        answer, fmt, timeout = self.answer_weight, self.format_weight, self.check_timeout
        _require(is_number(answer) and answer > 0, "answer_weight", answer, "a number > 0")
        _require(is_number(fmt) and fmt >= 0, "format_weight", fmt, "a number >= 0")
        _require(self.check in get_args(Check), "check", self.check, f"one of {', '.join(get_args(Check))}")
        _require(is_number(timeout) and timeout > 0, "check_timeout", timeout, "a number of seconds > 0")
        try:
            groups = re.compile(self.answer_pattern, re.DOTALL).groups
        except (re.error, TypeError):
            groups = None
        wanted = "a regular expression with exactly one group"
        _require(groups == 1, "answer_pattern", self.answer_pattern, wanted)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any] | None) -> RewardSettings:
        """Build from ``config.reward.get("reward_kwargs")``; None gives the defaults.

        Raises:
            RewardSettingsError: an unknown key or a value outside its range.
        """
        settings = {} if settings is None else dict(settings)
        known = [f.name for f in fields(cls)]
        if unknown := sorted(str(key) for key in settings if key not in known):
            raise RewardSettingsError(
                f"unknown setting reward.reward_kwargs.{unknown[0]} for the hdpo reward manager; "
                f"known: {', '.join(known)}. Arguments of a custom reward function go under "
                f"reward.custom_reward_function.reward_kwargs"
            )
        return cls(**settings)


def _require(ok: bool, name: str, found: Any, wanted: str) -> None:
    if not ok:
        raise RewardSettingsError(f"reward.reward_kwargs.{name} must be {wanted}, found {found!r}")
