"""``Guard``: lowers the price of a call where accuracy would fall, or has fallen, below its own recent level.

Per data source, with a_t the accuracy and u_t the share that calls, of a batch's rollouts of known outcome:

    levels    a_l and u_l: means over the first ``window`` batches, in which the price is 0; then slow averages,
              l += (x_t - l) / (4 window), held while the guard is at work
    gain      g: right with a call less right without one, within prompts, averaged over some 4 window batches;
              e = 1 / (2 sqrt(weight)), its error
    cap       while u_l (g + e / 2) > margin, what is lost if all calls go, the price is at most half of what a unit of
              their cost gains
    trips     where a_l - n > margin + 3 s; n += (a_t - n) / 2, s the error of n over prompts
    at work   mu += 40 (a_l - n), a dual ascent, until that is margin / 2 or less
    at rest   mu decays by 2 % a batch
    price     the one asked for, times 1 / (1 + mu), and not over the cap; it rises to that over a second window

Accuracy alone is too noisy to see a fall before the calls are gone, and calls that are gone come back slowly: the cap
keeps those that are seen to gain. What else makes accuracy fall trips the controller. A fall slower than the levels
follow is not seen. Numbers in, numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

RATE, RELEASE, WEIGHT_OF_NOW = 40.0, 0.02, 0.5
CAP = 0.5
"""Of what a unit of cost gains."""
Answers = Sequence[tuple[float, bool]]
"""The known rollouts of a prompt: what the calls of each cost, 0 without one, and whether it is correct."""


@dataclass
class SourceState:
    """What is known of one data source.

    Attributes:
        batches: taken in.
        accuracy, calls: the levels.
        now, variance: n and s squared.
        contrast, weight: g is their quotient.
        cost: of the calls in it, weighted as it is.
        mu: of the price.
        at_work: whether it is being lowered.
    """

    batches: int = 0
    accuracy: float = 0.0
    calls: float = 0.0
    now: float = 0.0
    variance: float = 0.0
    contrast: float = 0.0
    weight: float = 0.0
    cost: float = 0.0
    mu: float = 0.0
    at_work: bool = False

    @property
    def at_stake(self) -> float:
        """u_l (g + e / 2), accuracy lost if all calls go; 0 where no prompt had rollouts of both kinds."""
        if not self.weight:
            return 0.0
        # Each of the two shares of a contrast has a variance of 1/4 at most, so that of g is 1 / (4 weight).
        return self.calls * (self.contrast / self.weight + 0.25 / math.sqrt(self.weight))


class Guard:
    """One controller per data source.

    Args:
        margin: accuracy that may be lost, in [0, 1].
        window: batches over which the levels are measured before a price is asked.
    """

    def __init__(self, margin: float, window: int):
        self._margin, self._window = margin, window
        self._sources: dict[str, SourceState] = {}

    def observe(self, batch: Mapping[str, Sequence[Answers]]) -> None:
        """Take in the prompts of each source; one without a known rollout stays as it is."""
        for source, prompts in batch.items():
            if any(prompts):
                self._step(self._sources.setdefault(source, SourceState()), [answers for answers in prompts if answers])

    def price(self, source: str, asked: float) -> float:
        """What a unit of cost must gain there, at most ``asked``; 0 until the levels are known."""
        state = self._sources.get(source)
        if state is None:
            return 0.0
        risen = min(max(state.batches / self._window - 1.0, 0.0), 1.0)
        price = asked * risen / (1.0 + state.mu)
        if state.at_stake > self._margin:
            price = min(price, max(CAP * state.contrast / state.cost, 0.0))
        return price

    def level(self, source: str) -> float | None:
        """The accuracy that a source is held to; None before its first batch."""
        return self._sources[source].accuracy if source in self._sources else None

    def state(self) -> dict[str, Any]:
        """All of it in plain containers, for a checkpoint."""
        return {source: asdict(state) for source, state in self._sources.items()}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on from :meth:`state`."""
        self._sources = {source: SourceState(**fields) for source, fields in state.items()}

    def _step(self, state: SourceState, prompts: Sequence[Answers]) -> None:
        accuracy, variance = _accuracy(prompts)
        calls = sum(cost > 0 for answers in prompts for cost, _ in answers) / sum(map(len, prompts))
        kept = 1 - 1 / (4 * self._window)
        contrast, weight, cost = _contrast(prompts)
        state.contrast = kept * state.contrast + contrast
        state.weight = kept * state.weight + weight
        state.cost = kept * state.cost + cost
        state.batches += 1
        if state.batches <= self._window:
            state.accuracy += (accuracy - state.accuracy) / state.batches
            state.calls += (calls - state.calls) / state.batches
            state.now, state.variance = state.accuracy, variance / state.batches
            return
        state.now += WEIGHT_OF_NOW * (accuracy - state.now)
        state.variance = (1 - WEIGHT_OF_NOW) ** 2 * state.variance + WEIGHT_OF_NOW**2 * variance
        self._control(state)
        if not state.at_work:
            state.accuracy += (accuracy - state.accuracy) * (1 - kept)
            state.calls += (calls - state.calls) * (1 - kept)

    def _control(self, state: SourceState) -> None:
        """Trip, work or rest."""
        short = state.accuracy - state.now
        limit = self._margin / 2 if state.at_work else self._margin + 3 * math.sqrt(state.variance)
        state.at_work = short > limit
        state.mu = state.mu + RATE * short if state.at_work else state.mu * (1 - RELEASE)


def _accuracy(prompts: Sequence[Answers]) -> tuple[float, float]:
    """Accuracy over all rollouts, and the squared standard error of it.

    The greater of the error over prompts, whose answers go together, and that of independent answers, with one right
    and one wrong added so that a batch without a mistake is not taken for certain.
    """
    sizes = [len(answers) for answers in prompts]
    correct = [sum(right for _, right in answers) for answers in prompts]
    total = sum(sizes)
    mean, smoothed = sum(correct) / total, (sum(correct) + 1) / (total + 2)
    variance = smoothed * (1 - smoothed) / total
    if len(prompts) > 1:
        squares = sum((right - mean * size) ** 2 for right, size in zip(correct, sizes, strict=True))
        variance = max(variance, squares * len(prompts) / (len(prompts) - 1) / total**2)
    return mean, variance


def _contrast(prompts: Sequence[Answers]) -> tuple[float, float, float]:
    """Sums of w d, w and w k over prompts with both kinds of rollouts.

    d is right with a call less right without one, k the mean cost of those with one, and w = n1 n0 / (n1 + n0) by
    their numbers: the risk difference of Mantel and Haenszel.
    """
    contrast = weight = cost = 0.0
    for answers in prompts:
        with_call = [(paid, right) for paid, right in answers if paid > 0]
        without = [right for paid, right in answers if not paid > 0]
        if with_call and without:
            own = len(with_call) * len(without) / len(answers)
            contrast += own * (sum(right for _, right in with_call) / len(with_call) - sum(without) / len(without))
            weight += own
            cost += own * sum(paid for paid, _ in with_call) / len(with_call)
    return contrast, weight, cost
