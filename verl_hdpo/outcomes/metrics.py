"""What a batch of rollouts shows of tool use, as the flat ``hdpo/`` metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from verl_hdpo.algorithm.advantages import EPS
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.judge_use import JudgeUse
from verl_hdpo.outcomes.ledger import CALL_STATUSES

QUANTILES = (0.5, 0.9, 0.99)
COUNTS = ("groups_incomplete", "rollouts_missing")
LOST = "rollouts_lost/"
MISSING = "missing"
"""Cause of a rollout that never arrived: verl dropped it because its agent loop or its reward raised."""


def tool_use_metrics(outcomes: Outcomes) -> dict[str, float]:
    """Tool use and accuracy of one set of rollouts.

    ``tool_use_rate`` is the share of rollouts with at least one call. Accuracies are over rollouts whose outcome is
    known, and a conditional one is absent where its condition never held.
    """
    known_B, correct_B, calls_B = outcomes.known_B, outcomes.correct_B, outcomes.tool_calls_B.double()
    used_B = calls_B > 0
    metrics = {
        "tool_use_rate": _mean(used_B),
        "tool_calls/mean": _mean(calls_B),
        "tool_calls/max": calls_B.max().item(),
        **{f"tool_calls/p{round(100 * q)}": calls_B.quantile(q, interpolation="lower").item() for q in QUANTILES},
        "unknown_rate": _mean(~known_B),
        # T is exact where the agent loop kept a ledger; elsewhere it is the number of tool rounds.
        "ledger_rate": sum(ledger is not None for ledger in outcomes.ledgers) / len(outcomes.ledgers),
    }
    for name, where_B in (
        ("accuracy", known_B),
        ("accuracy_given_tool", known_B & used_B),
        ("accuracy_given_no_tool", known_B & ~used_B),
    ):
        if where_B.any():
            metrics[name] = _mean(correct_B[where_B])
    return metrics


def per_source(outcomes: Outcomes, sources: Sequence[str]) -> dict[str, dict[str, float]]:
    """:func:`tool_use_metrics` of each ``data_source``."""
    rows: dict[str, list[int]] = {}
    for row, source in enumerate(sources):
        rows.setdefault(str(source), []).append(row)
    return {source: tool_use_metrics(outcomes.of(chosen)) for source, chosen in rows.items()}


def means_per_source(values: Mapping[str, Sequence[float | None]], sources: Sequence[str]) -> dict[str, float]:
    """``{"<data_source>/<name>": mean}`` of the numbers in ``values``, a sequence a name; None is left out."""
    found: dict[str, list[float]] = {}
    for name, column in values.items():
        for source, value in zip(sources, column, strict=True):
            if value is not None:
                found.setdefault(f"{source}/{name}", []).append(value)
    return {name: sum(column) / len(column) for name, column in found.items()}


def ledger_metrics(outcomes: Outcomes) -> dict[str, float]:
    """Calls per rollout by how they ended, over all tools and for each; mean seconds per call."""
    ledgers = [ledger for ledger in outcomes.ledgers if ledger is not None]
    if not ledgers:
        return {}
    metrics = dict.fromkeys((f"tool_calls/{how}" for how in CALL_STATUSES), 0.0)
    for how in ("unavailable", "release_failed"):
        metrics[f"tool_calls/{how}"] = sum(getattr(x, how) for x in ledgers) / len(ledgers)
    for tool in sorted({name for x in ledgers for name in x.tools}):
        tallies = [x.tools[tool] for x in ledgers if tool in x.tools]
        calls = {how: sum(getattr(t, how) for t in tallies) for how in CALL_STATUSES}
        for how, number in calls.items():
            metrics[f"tool_calls/{how}"] += number / len(ledgers)
            metrics[f"tools/{tool}/{how}"] = number / len(ledgers)
        attempted = sum(calls.values())
        metrics[f"tools/{tool}/attempted"] = attempted / len(ledgers)
        metrics[f"tools/{tool}/seconds"] = sum(t.seconds for t in tallies) / max(attempted, 1)
    return metrics


def advantage_metrics(
    rewards_B: Tensor, accuracy_B: Tensor, efficiency_B: Tensor, group_B: Tensor, outcomes: Outcomes
) -> dict[str, float]:
    """Both channels' advantages, and the share of groups that each has anything to say about.

    ``qualifying_rate`` is |Q|/G averaged over groups. A group has accuracy signal where its known rewards differ by
    more than eps, and efficiency signal where an efficiency advantage is not exactly 0.
    """
    groups = int(group_B.max()) + 1
    known_B = outcomes.known_B
    low_N = torch.full((groups,), float("inf")).scatter_reduce(0, group_B[known_B], rewards_B[known_B], "amin")
    high_N = torch.full((groups,), float("-inf")).scatter_reduce(0, group_B[known_B], rewards_B[known_B], "amax")
    qualifying_N = torch.bincount(group_B, weights=outcomes.correct_B.double(), minlength=groups)
    return {
        "qualifying_rate": _mean(qualifying_N / torch.bincount(group_B, minlength=groups)),
        "acc/groups_with_signal": _mean(high_N - low_N > EPS),
        "acc/advantage_mean": _mean(accuracy_B),
        "acc/advantage_std": accuracy_B.double().std(correction=0).item(),
        "tool/groups_with_signal": _mean(torch.bincount(group_B, weights=(efficiency_B != 0).double()) > 0),
        "tool/advantage_mean": _mean(efficiency_B),
        "tool/advantage_std": efficiency_B.double().std(correction=0).item(),
    }


def completeness_metrics(group_B: Tensor, groups: int, group_size: int) -> dict[str, float]:
    """Groups that arrived with fewer than ``group_size`` rollouts, or not at all, and how many rollouts they lack.

    Args:
        group_B: group number of each rollout that arrived, (B,) int64.
        groups: prompts that the batch was to hold.
        group_size: ``rollout.n``.
    """
    sizes_N = torch.bincount(group_B, minlength=groups)
    missing_N = (group_size - sizes_N).clamp(min=0)
    return dict(zip(COUNTS, ((missing_N > 0).sum().item(), missing_N.sum().item()), strict=True))


def cause_metrics(outcomes: Outcomes, lost: Mapping[str, int]) -> dict[str, float]:
    """How many rollouts were lost of which cause, and what share was decided, or left unknown, by which check."""
    metrics = {f"{LOST}{cause}": float(number) for cause, number in lost.items()}
    for source, known in set(zip(outcomes.sources, outcomes.known_B.tolist(), strict=True)):
        if source:
            which_B = outcomes.known_B if known else ~outcomes.known_B
            same_B = torch.tensor([other == source for other in outcomes.sources]) & which_B
            metrics[f"{'decided_by' if known else 'unknown'}/{source}"] = _mean(same_B)
    return metrics


def judge_metrics(outcomes: Outcomes) -> dict[str, float]:
    """What the judge was asked and what that took; nothing if it was not asked.

    Seconds are those of verdicts that a server was asked for; retries and tokens are per such verdict.
    """
    asked = [use for use in outcomes.judged if use.asked]
    if not asked:
        return {}
    metrics = {"judge/asked_rate": len(asked) / len(outcomes.judged), "judge/cached_rate": _average("cached", asked)}
    sent = [use for use in asked if use.requests]
    if not sent:
        return metrics
    for name in ("seconds", "queue_seconds"):
        values = torch.tensor([getattr(use, name) for use in sent], dtype=torch.float64)
        metrics |= {f"judge/{name}/p{round(100 * q)}": values.quantile(q).item() for q in QUANTILES}
        metrics |= {f"judge/{name}/mean": values.mean().item(), f"judge/{name}/max": values.max().item()}
    metrics["judge/retries"] = _average("requests", sent) - 1
    for name in ("prompt_tokens", "completion_tokens"):
        metrics[f"judge/{name}"] = _average(name, sent)
    return metrics


def _average(name: str, uses: Sequence[JudgeUse]) -> float:
    return sum(float(getattr(use, name)) for use in uses) / len(uses)


def combined(updates: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    """The metrics of several updates as one: counts added up, maxima of maxima, else means weighted by rollouts.

    Args:
        updates: the rollouts and the metrics of each update; a metric may be absent from some.
    """
    result = {}
    for name in dict.fromkeys(name for _, metrics in updates for name in metrics):
        values, weights = zip(*((metrics[name], rows) for rows, metrics in updates if name in metrics), strict=True)
        last = name.rpartition("/")[2]
        if last in COUNTS or LOST in name:
            result[name] = sum(values)
        elif last == "max":
            result[name] = max(values)
        else:
            result[name] = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
    return result


def tool_metrics(outcomes: Outcomes, sources: Sequence[str]) -> dict[str, float]:
    """Tool use, accuracy and ledgers of all rollouts, and the first two of each ``data_source``."""
    metrics = tool_use_metrics(outcomes) | ledger_metrics(outcomes)
    for source, values in per_source(outcomes, sources).items():
        metrics.update(prefixed(f"{source}/", values))
    return metrics


def batch_metrics(
    outcomes: Outcomes, sources: Sequence[str], group_B: Tensor, groups: int, group_size: int
) -> tuple[dict[str, float], Counter[str]]:
    """All that one training batch shows before its advantages, and how many rollouts were lost of which cause."""
    completeness = completeness_metrics(group_B, groups, group_size)
    lost = Counter(cause for cause in outcomes.lost if cause)
    lost[MISSING] += int(completeness["rollouts_missing"])
    lost = +lost  # without the causes that lost none
    metrics = tool_metrics(outcomes, sources) | completeness | cause_metrics(outcomes, lost) | judge_metrics(outcomes)
    return metrics | {"group_size": group_size}, lost


def prefixed(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """The same with ``prefix`` before every name."""
    return {prefix + name: value for name, value in metrics.items()}


def _mean(values: Tensor) -> float:
    return values.double().mean().item()
