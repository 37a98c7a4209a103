"""``Guard``: lowers the price of a call where accuracy falls below its own recent level, until it recovers.

Per data source, with a_t the accuracy of a batch's rollouts of known outcome, and s_t its standard error over prompts:

    level    mean of a_t over the first ``window`` batches, in which the price is 0; then a slow average,
             l += (a_t - l) / (4 window), held while the guard is at work
    now      n += (a_t - n) / 2, with the variance v = v / 4 + s_t^2 / 4
    trips    where l - n > margin + 3 sqrt(v): chance alone passes 3 sqrt(v) once in some hundreds of batches
    at work  mu += 20 (l - n), a dual ascent on the constraint n >= l, until n >= l - margin / 2
    at rest  mu decays by 2 % a batch
    price    the one asked for, times 1 / (1 + mu)

A fall slower than margin / (4 window) a batch is followed by the level, and so is not seen. Plain Python: numbers in,
numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SIGMAS, RATE, RELEASE, WEIGHT_OF_NOW = 3.0, 20.0, 0.02, 0.5


@dataclass
class SourceState:
    """What is known of one data source; the attributes are those of the module's formulas."""

    batches: int = 0
    level: float = 0.0
    now: float = 0.0
    variance: float = 0.0
    mu: float = 0.0
    at_work: bool = False


class Guard:
    """One controller per data source.

    Args:
        margin: accuracy that may be lost, in [0, 1].
        window: batches over which the level is measured before a price is asked.
    """

    def __init__(self, margin: float, window: int):
        self._margin, self._window = margin, window
        self._sources: dict[str, SourceState] = {}

    def observe(self, correct: Mapping[str, Sequence[Sequence[bool]]]) -> None:
        """Take in a batch: of each source, whether the known rollouts of each prompt are correct.

        A source without a known rollout stays as it is.
        """
        for source, prompts in correct.items():
            if any(prompts):
                self._step(self._sources.setdefault(source, SourceState()), [group for group in prompts if group])

    def factor(self, source: str) -> float:
        """What the price of a source is multiplied by, in [0, 1]; 0 until its level is known."""
        state = self._sources.get(source)
        return 0.0 if state is None or state.batches <= self._window else 1.0 / (1.0 + state.mu)

    def level(self, source: str) -> float | None:
        """The accuracy that a source is held to; None before its first batch."""
        return self._sources[source].level if source in self._sources else None

    def state(self) -> dict[str, Any]:
        """All of it in plain containers, for a checkpoint."""
        return {source: asdict(state) for source, state in self._sources.items()}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on from :meth:`state`."""
        self._sources = {source: SourceState(**fields) for source, fields in state.items()}

    def _step(self, state: SourceState, prompts: Sequence[Sequence[bool]]) -> None:
        accuracy, variance = _mean_and_variance(prompts)
        state.batches += 1
        if state.batches <= self._window:
            state.level += (accuracy - state.level) / state.batches
            state.now, state.variance = state.level, variance / state.batches
            return
        state.now += WEIGHT_OF_NOW * (accuracy - state.now)
        state.variance = (1 - WEIGHT_OF_NOW) ** 2 * state.variance + WEIGHT_OF_NOW**2 * variance
        short = state.level - state.now
        if state.at_work:
            state.at_work = short > self._margin / 2
        else:
            state.at_work = short > self._margin + SIGMAS * math.sqrt(state.variance)
        if state.at_work:
            state.mu += RATE * short
        else:
            state.mu *= 1 - RELEASE
            state.level += (accuracy - state.level) / (4 * self._window)


def _mean_and_variance(prompts: Sequence[Sequence[bool]]) -> tuple[float, float]:
    """Accuracy over all rollouts, and the squared standard error of it.

    The greater of the error over prompts, whose answers go together, and that of independent answers, with one right
    and one wrong added so that a batch without a mistake is not taken for certain.
    """
    sizes = [len(group) for group in prompts]
    total, right = sum(sizes), sum(map(sum, prompts))
    mean = right / total
    smoothed = (right + 1) / (total + 2)
    variance = smoothed * (1 - smoothed) / total
    if len(prompts) > 1:
        deviations = [sum(group) - mean * size for group, size in zip(prompts, sizes, strict=True)]
        between = sum(x * x for x in deviations) * len(prompts) / (len(prompts) - 1)
        variance = max(variance, between / total**2)
    return mean, variance
