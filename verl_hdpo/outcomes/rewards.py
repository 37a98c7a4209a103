"""The rewards of HDPO (arXiv 2604.08545) for one rollout.

r_acc = answer_weight * answer + format_weight * format, with 0.9 and 0.1 in the paper;
r_tool = 1/(C + 1) when the answer is correct, else 0, with C = T unless tools have costs.
"""

from __future__ import annotations

from verl_hdpo.algorithm.advantages import tool_efficiency

SIGNAL_LEVELS = 10_000
SIGNAL_COSTS = 1_000


def accuracy_reward(answer: float, format_ok: float, answer_weight: float = 0.9, format_weight: float = 0.1) -> float:
    """r_acc = answer_weight * answer + format_weight * format_ok; both arguments in [0, 1]."""
    return answer_weight * answer + format_weight * format_ok


def tool_reward(correct: bool, cost: float) -> float:
    """r_tool = 1/(C + 1) if correct, else 0. Format plays no part."""
    return tool_efficiency(cost) if correct else 0.0


def hdpo_signal(r_acc: float, correct: bool, cost: float) -> float:
    """round(10^4 r_acc) * 10^3 + (min(C, 998) + 1 if correct, else 0): equal iff both rewards are equal.

    For ``algorithm.filter_groups.metric``: verl drops a group when ``np.std`` of the metric is exactly 0
    (trainer/ppo/v1/replay_buffer.py). A multiple of 1/64, because the standard deviation of equal numbers need not
    be 0 where they are not sums of powers of 2 (``np.std([0.1] * 3)`` is 1.4e-17). It tells r_acc apart to 10^-4, and
    C, the cost of the tool calls (T if each costs 1), to 1/64 and up to 998.

    An unknown outcome is passed as ``hdpo_signal(0.0, False, 0)``. Two known rollouts that differ then always keep
    their group, and a group of unknown or worthless ones is dropped. A group that mixes unknown and identical known
    rollouts is kept although it carries no signal. NaN would keep no less and would spoil validation means.
    """
    level = min(round(64 * cost) / 64, SIGNAL_COSTS - 2) + 1 if correct else 0
    return float(round(SIGNAL_LEVELS * r_acc) * SIGNAL_COSTS + level)
