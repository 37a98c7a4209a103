"""``Guard``: lowers the price of a call where accuracy falls below its own recent level, until it recovers.

Per data source, with a_t the accuracy and u_t the share of calls of a batch's rollouts of known outcome:

    levels    a_l and u_l: means over the first ``window`` batches, in which the price is 0; then slow averages,
              l += (x_t - l) / (4 window), held while the guard is at work
    accuracy  short_a = a_l - n,  n += (a_t - n) / 2, and its error s from s_t, that of a_t over prompts
    calls     short_u = g (u_l - u_t), what calls that are no longer made have gained: g the difference between right
              with a call and right without one within a prompt, averaged over some 4 window batches
    trips     where short_u > margin + 1.5 e, e its error from those of g and u_t, or short_a > margin + 3 s
    at work   mu += 40 max(short_u, short_a), a dual ascent, until both are margin / 2 or less
    at rest   mu decays by 2 % a batch
    price     the one asked for, times 1 / (1 + mu); it rises to that over a second window

Accuracy alone is too noisy to see a fall before the calls are gone: the second measure sees it by the calls, and is
silent while tool use stays what it is. A fall slower than the levels follow is not seen. Numbers in, numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

RATE, RELEASE, WEIGHT_OF_NOW = 40.0, 0.02, 0.5
Answers = Sequence[tuple[bool, bool]]
"""The known rollouts of a prompt: whether each called a tool, and whether it is correct."""


@dataclass
class SourceState:
    """What is known of one data source.

    Attributes:
        batches: taken in.
        accuracy, calls: the levels.
        now, variance: n and s squared.
        contrast, weight: g is their quotient.
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
    mu: float = 0.0
    at_work: bool = False


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

    def factor(self, source: str) -> float:
        """What the price of a source is multiplied by, in [0, 1]; 0 until its levels are known."""
        state = self._sources.get(source)
        if state is None:
            return 0.0
        return min(max(state.batches / self._window - 1.0, 0.0), 1.0) / (1.0 + state.mu)

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
        total = sum(map(len, prompts))
        calls = sum(called for answers in prompts for called, _ in answers) / total
        kept = 1 - 1 / (4 * self._window)
        contrast, weight = _contrast(prompts)
        state.contrast = kept * state.contrast + contrast
        state.weight = kept * state.weight + weight
        state.batches += 1
        if state.batches <= self._window:
            state.accuracy += (accuracy - state.accuracy) / state.batches
            state.calls += (calls - state.calls) / state.batches
            state.now, state.variance = state.accuracy, variance / state.batches
            return
        state.now += WEIGHT_OF_NOW * (accuracy - state.now)
        state.variance = (1 - WEIGHT_OF_NOW) ** 2 * state.variance + WEIGHT_OF_NOW**2 * variance
        self._control(state, state.calls - calls, calls * (1 - calls) / total)
        if not state.at_work:
            state.accuracy += (accuracy - state.accuracy) * (1 - kept)
            state.calls += (calls - state.calls) * (1 - kept)

    def _control(self, state: SourceState, fewer_calls: float, calls_variance: float) -> None:
        """Trip, work or rest; ``fewer_calls`` is u_l - u_t, and ``calls_variance`` that of u_t."""
        short_a = state.accuracy - state.now
        gain = state.contrast / state.weight if state.weight else 0.0
        short_u = gain * fewer_calls
        if state.at_work:
            state.at_work = max(short_a, short_u) > self._margin / 2
        else:
            # Each of the two shares of a contrast has a variance of 1/4 at most, so that of g is 1 / (4 weight).
            error_g = 0.5 / math.sqrt(state.weight) if state.weight else 0.0
            error_u = math.hypot(error_g * fewer_calls, gain * math.sqrt(calls_variance))
            by_accuracy = short_a > self._margin + 3 * math.sqrt(state.variance)
            state.at_work = by_accuracy or short_u > self._margin + 1.5 * error_u
        if state.at_work:
            state.mu += RATE * max(short_a, short_u)
        else:
            state.mu *= 1 - RELEASE


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


def _contrast(prompts: Sequence[Answers]) -> tuple[float, float]:
    """(sum of w d, sum of w) over prompts with both kinds of rollouts: d right with a call less right without one,

    w = n1 n0 / (n1 + n0) by their numbers: the risk difference of Mantel and Haenszel.
    """
    contrast = weight = 0.0
    for answers in prompts:
        with_call, without = ([right for called, right in answers if called == kind] for kind in (True, False))
        if with_call and without:
            own = len(with_call) * len(without) / len(answers)
            contrast += own * (sum(with_call) / len(with_call) - sum(without) / len(without))
            weight += own
    return contrast, weight
