"""Every estimator once more, in plain Python and one rollout at a time, from the formulas in docs/algorithms.md."""

from __future__ import annotations

import math
from typing import NamedTuple

EPS = 1e-6


class Row(NamedTuple):
    """One rollout."""

    reward: float
    group: int
    known: bool
    correct: bool
    cost: float
    format_ok: bool = True


def mean_and_std(values: list[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1))


def grpo(rows: list[Row], rewards: list[float]) -> list[float]:
    advantages = []
    for row, reward in zip(rows, rewards, strict=True):
        peers = [r for other, r in zip(rows, rewards, strict=True) if other.group == row.group and other.known]
        if not row.known:
            advantages.append(0.0)
        elif len(peers) > 1:
            mean, std = mean_and_std(peers)
            advantages.append((reward - mean) / (std + EPS))
        else:
            advantages.append(0.0)
    return advantages


def whitened(rows: list[Row], values: list[float]) -> list[float]:
    members = [value for row, value in zip(rows, values, strict=True) if row.known]
    mean, std = mean_and_std(members) if len(members) > 1 else (0.0, 0.0)
    if std < EPS:
        return [0.0] * len(rows)
    return [(value - mean) / (std + EPS) if row.known else 0.0 for row, value in zip(rows, values, strict=True)]


def correct_costs(rows: list[Row], row: Row) -> list[float]:
    return [other.cost for other in rows if other.group == row.group and other.correct]


def efficiency(rows):
    """HDPO's second channel; its first is ``grpo`` of the rewards."""
    advantages = []
    for row in rows:
        savings = [1 / (cost + 1) for cost in correct_costs(rows, row)]
        mean, std = mean_and_std(savings) if row.correct else (0.0, 0.0)
        advantages.append((1 / (row.cost + 1) - mean) / (std + EPS) if len(savings) > 1 and std >= EPS else 0.0)
    return advantages


def grpo_penalty(rows, a=0.15, form="inverse", gated=False):
    rewards = []
    for row in rows:
        term = a / (row.cost + 1) if form == "inverse" else -a * row.cost
        rewards.append(row.reward + (term if row.correct or not gated else 0.0))
    return grpo(rows, rewards)


def tool_gdpo(rows, w_acc=1.0, w_tool=1.0, conditioned=False):
    acc = grpo(rows, [row.reward for row in rows])
    tool = grpo(rows, [0.0 if conditioned and not row.correct else 1 / (row.cost + 1) for row in rows])
    return whitened(rows, [w_acc * a + w_tool * t for a, t in zip(acc, tool, strict=True)])


def gdpo_conditioned(rows, **weights):
    return tool_gdpo(rows, conditioned=True, **weights)


def otc(rows, smoothing=1.0):
    rewards = []
    for row in rows:
        factor = 1.0
        if row.correct:
            m, n = row.cost, min(correct_costs(rows, row))
            if n == 0:
                factor = 1.0 if m == 0 else math.cos(m * math.pi / (2 * m + smoothing))
            else:
                factor = math.sin(2 * n * m / (m + n) * math.pi / (2 * n))
        rewards.append(factor * row.reward)
    return grpo(rows, rewards)


def ikea(rows, bonus=0.6, max_calls=3, search_reward=0.05, format_reward=-1.0):
    rewards = []
    for row in rows:
        if format_reward is not None and not row.format_ok:
            rewards.append(format_reward)
        elif row.correct:
            rewards.append(1 + (bonus * (1 - row.cost / max_calls) if row.cost < max_calls else 0))
        else:
            rewards.append(search_reward if row.cost > 0 else 0)
    return grpo(rows, rewards)


def slimsearcher_style(rows, floor=1.0):
    rewards = []
    for row in rows:
        reward = 0.0
        if row.correct:
            cheapest = min(correct_costs(rows, row))
            decay = math.exp(-(row.cost - cheapest) / max(cheapest, floor))
            reward = 2 * decay / (decay + 1)
        rewards.append(reward)
    return grpo(rows, rewards)


def adatir_style(rows, penalty=0.15, easy_below=0.5, max_calls=5):
    rewards = []
    for row in rows:
        known = [other for other in rows if other.group == row.group and other.known]
        hard = 1 - sum(other.correct for other in known) / len(known) if known else 1.0
        easy = row.correct and hard < easy_below
        rewards.append(row.reward - (penalty * math.sin(math.pi / 2 * min(row.cost / max_calls, 1)) if easy else 0))
    return [max(a, 0.0) if row.correct else a for row, a in zip(rows, grpo(rows, rewards), strict=True)]


def known_peers(rows: list[Row], row: Row) -> list[Row]:
    return [other for other in rows if other.group == row.group and other.known]


def dvao(rows, w_acc=1.0, w_tool=1.0):
    advantages = []
    for row in rows:
        peers = known_peers(rows, row)
        acc, acc_std = mean_and_std([other.reward for other in peers]) if peers else (0.0, 0.0)
        tool, tool_std = mean_and_std([1 / (other.cost + 1) for other in peers]) if peers else (0.0, 0.0)
        below = w_acc * acc_std + w_tool * tool_std
        above = w_acc * (row.reward - acc) + w_tool * (1 / (row.cost + 1) - tool)
        advantages.append(above / (below + EPS) if row.known and below >= EPS else 0.0)
    return advantages


def sa_mrpo(rows, w_acc=1.0, w_tool=1.0, gamma=0.25):
    known = [row for row in rows if row.known]
    if not known:
        return [0.0] * len(rows)
    s_acc = min(max(sum(row.reward for row in known) / len(known), 0.0), 1.0)
    s_tool = sum(1 / (row.cost + 1) for row in known) / len(known)
    return tool_gdpo(rows, w_acc * (1 - s_acc) ** gamma, w_tool * (1 - s_tool) ** gamma)


def eapo_style(rows, beta=1.0):
    rewards = []
    for row in rows:
        peers = known_peers(rows, row)
        easy = sum(other.correct for other in peers) / len(peers) if peers else 0.0
        thrifty = not row.correct or not row.cost
        efficiency = 1.0 if thrifty else math.exp(-beta * (row.cost - min(correct_costs(rows, row))))
        rewards.append((1 - easy + easy * efficiency) * row.reward)
    return grpo(rows, rewards)


def turn_penalty(rows, weight=0.1):
    rewards = []
    for row in rows:
        peers = known_peers(rows, row)
        mean = sum(other.reward for other in peers) / len(peers) if peers else 0.0
        longest = max((other.cost + 1 for other in peers), default=1.0)
        rewards.append(row.reward - weight * mean * (row.cost + 1) / longest)
    advantages = []
    for row, reward in zip(rows, rewards, strict=True):
        peers = [r for other, r in zip(rows, rewards, strict=True) if other.group == row.group and other.known]
        advantages.append(reward - sum(peers) / len(peers) if row.known else 0.0)
    return advantages


def priced(rows, price=0.1, accuracy_per_unit=1.0, gated=False, answer_weight=1.0):
    advantages = []
    for row in rows:
        peers = known_peers(rows, row)
        if not row.known or len(peers) == 1:
            advantages.append(0.0)
            continue
        paid = row.cost - sum(other.cost for other in peers) / len(peers)
        if gated:
            alike = [other.correct for other in peers if abs(other.cost - row.cost) < EPS]
            paid *= len(alike) / sum(alike) if row.correct else 0.0
        gain = row.reward - sum(other.reward for other in peers) / len(peers)
        others = [other.reward for other in peers if other is not row]
        scale = max(mean_and_std(others)[1], answer_weight / math.sqrt(len(peers)))
        advantages.append((gain - answer_weight * price * accuracy_per_unit * paid) / scale)
    return advantages


PLAIN = {
    f.__name__: f
    for f in (
        priced,
        grpo_penalty,
        tool_gdpo,
        gdpo_conditioned,
        otc,
        ikea,
        slimsearcher_style,
        adatir_style,
        dvao,
        sa_mrpo,
        eapo_style,
        turn_penalty,
    )
}
