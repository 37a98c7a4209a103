"""What HDPO adds to the controller, alone and by part, for more rollouts than their tensors would fit.

Synthetic: keys and reports of rollouts are real objects, a thousand distinct reports over and over; TransferQueue and
all tensors with a token dimension are left out, as none of this code sees them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hdpo_cost.pairs import median, peak_mib, reset_peak_mib
from hdpo_cost.rollouts import GROUP, SOURCES, extra_fields, keys
from verl_hdpo.algorithm.estimators.hdpo import hdpo
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.metrics import (
    advantage_metrics,
    completeness_metrics,
    ledger_metrics,
    per_source,
    tool_use_metrics,
)
from verl_hdpo.outcomes.rollout_index import RolloutIndex
from verl_hdpo.settings.algorithms import HDPOSettings

DISTINCT = 1000


def measure(sizes: dict[int, int]) -> list[dict[str, object]]:
    """``sizes``: rollouts -> rounds; medians of CPU seconds."""
    return [_at(rollouts, rounds) for rollouts, rounds in sizes.items()]


def _at(rollouts: int, rounds: int) -> dict[str, object]:
    names, some = keys(rollouts), extra_fields(DISTINCT)
    reports = [some[i % DISTINCT] for i in range(rollouts)]
    sources = [SOURCES[i // GROUP % 2] for i in range(rollouts)]
    resident = reset_peak_mib()
    found = [_parts(names, reports, sources) for _ in range(rounds)]
    parts = {name: median([one[name] * 1e3 for one in found], 2) for name in found[0]}
    total = median([sum(one.values()) for one in found], 6)
    return {
        "rollouts": rollouts,
        "rounds": rounds,
        "cpu_ms": round(total * 1e3, 1),
        "cpu_us_per_rollout": round(total / rollouts * 1e6, 2),
        "cpu_ms_by_part": parts,
        "peak_memory_mib": round(peak_mib() - resident, 1),
    }


def _parts(names: list[str], reports: list[dict], sources: list[str]) -> dict[str, float]:
    seconds: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        seconds[name] = time.process_time() - start

    settings = HDPOSettings()
    with part("index"):
        index = RolloutIndex.from_keys(names, [False] * len(names))
    with part("outcomes"):
        outcomes = Outcomes.read(reports, [4] * len(names), settings)
        cost_B = outcomes.cost(settings)
    with part("tool_metrics"):
        tool_use_metrics(outcomes)
        ledger_metrics(outcomes)
        per_source(outcomes, sources)
        completeness_metrics(index.group_B, len(names) // GROUP, GROUP)
    with part("advantages"):
        rewards_B = outcomes.correct_B.float()
        scalars = RolloutScalars(rewards_B, index.group_B, outcomes.known_B, outcomes.correct_B, cost_B)
        acc_B, tool_B = hdpo(scalars)
        index.spread(acc_B)
        index.spread(tool_B)
    with part("advantage_metrics"):
        advantage_metrics(rewards_B, acc_B, tool_B, index.group_B, outcomes)
    return seconds
