"""``follows_length``: whether the reward goes with how much a rollout wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence

from verl_hdpo.evaluation.dumps.rollout import Rollout

STRONG = 0.5
"""Correlation, of either sign, from which the reward is said to follow length."""
FEWEST = 40
"""Rollouts below which a correlation says nothing."""


def follows_length(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """The rollouts compared, longest first, if |r| >= ``STRONG``; none otherwise, or below ``FEWEST`` rollouts.

    r is Pearson's, of reward and characters, each less its mean over the group's rollouts with as many calls: a call
    makes a rollout longer and often right; within equal calls length should not pay.
    """
    alike: dict[tuple[str, int | None], list[Rollout]] = {}
    for one in rollouts:
        alike.setdefault((one.group, one.calls), []).append(one)
    pairs: list[tuple[float, float]] = []
    compared: list[Rollout] = []
    for rows in alike.values():
        if len(rows) < 2:
            continue
        rewards, lengths = [one.answer_reward for one in rows], [float(one.written) for one in rows]
        pairs += zip(_centred(rewards), _centred(lengths), strict=True)
        compared += rows
    scale = math.sqrt(sum(x * x for x, _ in pairs) * sum(y * y for _, y in pairs))
    correlation = sum(x * y for x, y in pairs) / scale if scale > 0 else 0.0
    if len(compared) < FEWEST or abs(correlation) < STRONG:
        return []
    return sorted(compared, key=lambda one: -one.written)


def _centred(values: Sequence[float]) -> list[float]:
    mean = sum(values) / len(values)
    return [value - mean for value in values]
