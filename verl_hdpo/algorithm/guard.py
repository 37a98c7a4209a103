"""``Guard``: lowers the price of a call where accuracy would fall, or has fallen, below its own recent level.

Per data source, with x_t the accuracy and C_t the mean cost of a batch's rollouts of known outcome:

    levels    a_l and C_l: means over the first ``window`` batches, in which the price is 0; then slow averages,
              l += (x_t - l) / (4 window); while the guard is at work C_l is held, and a_l follows by 1 % a batch
    gain      b: the slope of right over cost, within prompts, over some 4 window batches: accuracy per unit of cost;
              e = 1 / (2 sqrt(sum of squares of the cost)), its greatest error
    cap       while C_l (b + e / 2) > margin, what is lost if all calls go, the price is at most half of b
    trips     where a_l - n > margin + 3 s; n += (x_t - n) / 2, s the error of both over prompts
    at work   mu += 40 (a_l - n), a dual ascent, 40 at most, until a_l - n is margin / 2 or less
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

RATE, MOST, RELEASE = 40.0, 40.0, 0.02
WEIGHT_OF_NOW, WEIGHT_AT_WORK = 0.5, 0.01
CAP = 0.5
"""Of what a unit of cost gains."""
Answers = Sequence[tuple[float, bool]]
"""The known rollouts of a prompt: what the calls of each cost, 0 without one, and whether it is correct."""


@dataclass
class SourceState:
    """What is known of one data source.

    Attributes:
        batches: taken in.
        accuracy, cost: the levels.
        now: n.
        level_share, now_share: variance of ``accuracy`` and of n, in variances of one prompt.
        squares, degrees: of prompts' deviations from their batch's accuracy, and of freedom.
        covariance, spread: sums within prompts, of cost with right and with itself; b is their quotient.
        mu: of the price.
        at_work: whether it is being lowered.
    """

    batches: int = 0
    accuracy: float = 0.0
    cost: float = 0.0
    now: float = 0.0
    level_share: float = 0.0
    now_share: float = 0.0
    squares: float = 0.0
    degrees: float = 0.0
    covariance: float = 0.0
    spread: float = 0.0
    mu: float = 0.0
    at_work: bool = False

    @property
    def gain(self) -> float:
        """b; 0 where no prompt had rollouts of different cost, between which a price does not choose either."""
        return self.covariance / self.spread if self.spread else 0.0

    @property
    def at_stake(self) -> float:
        """C_l (b + e / 2), accuracy lost if all calls go."""
        # Right has a variance of 1/4 at most.
        return self.cost * (self.gain + 0.25 / math.sqrt(self.spread)) if self.spread else 0.0


class Guard:
    """One controller per data source.

    Args:
        margin: accuracy that may be lost, in [0, 1].
        window: batches over which the levels are measured before a price is asked.
    """

    def __init__(self, margin: float, window: int):
        self._margin, self._window = margin, window
        self._kept = 1 - 1 / (4 * window)
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
        return min(price, max(CAP * state.gain, 0.0)) if state.at_stake > self._margin else price

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
        sizes, correct = [*map(len, prompts)], [sum(right for _, right in answers) for answers in prompts]
        total = sum(sizes)
        accuracy, cost = sum(correct) / total, sum(cost for answers in prompts for cost, _ in answers) / total
        share = sum(size**2 for size in sizes) / total**2  # 1 / prompts, where they are of one size
        around, degrees = (state.now, 1) if len(prompts) == 1 and state.batches else (accuracy, len(prompts) - 1)
        covariance, spread = _within(prompts)
        state.squares = self._kept * state.squares + sum(
            (right / size - around) ** 2 for right, size in zip(correct, sizes, strict=True)
        )
        state.degrees = self._kept * state.degrees + degrees
        state.covariance = self._kept * state.covariance + covariance
        state.spread = self._kept * state.spread + spread
        state.batches += 1
        first = state.batches <= self._window
        if not first:
            state.now, state.now_share = _moved(state.now, state.now_share, accuracy, share, WEIGHT_OF_NOW)
            self._control(state, _smoothed(sum(correct), total), total / len(prompts))
        follows = 1 / state.batches if first else WEIGHT_AT_WORK if state.at_work else 1 - self._kept
        state.accuracy, state.level_share = _moved(state.accuracy, state.level_share, accuracy, share, follows)
        if not state.at_work:
            state.cost += follows * (cost - state.cost)
        if first:
            state.now, state.now_share = state.accuracy, state.level_share

    def _control(self, state: SourceState, right: float, size: float) -> None:
        """Trip, work or rest; ``right`` of a batch whose prompts have that many answers."""
        # One prompt more, which is all right or all wrong: few prompts are not to look alike by chance.
        of_a_prompt = (state.squares + right * (1 - right)) / (state.degrees + 1)
        variance = max(of_a_prompt, right * (1 - right) / size) * (state.now_share + state.level_share)
        short = state.accuracy - state.now
        limit = self._margin / 2 if state.at_work else self._margin + 3 * math.sqrt(variance)
        state.at_work = short > limit
        state.mu = min(state.mu + RATE * short, MOST) if state.at_work else state.mu * (1 - RELEASE)


def _moved(mean: float, share: float, value: float, own: float, weight: float) -> tuple[float, float]:
    """A mean moved by ``weight`` towards a value, and its variance, for those that both had."""
    return mean + weight * (value - mean), (1 - weight) ** 2 * share + weight**2 * own


def _smoothed(correct: int, total: int) -> float:
    """Accuracy with one right and one wrong answer more: a batch without a mistake is not taken for certain."""
    return (correct + 1) / (total + 2)


def _within(prompts: Sequence[Answers]) -> tuple[float, float]:
    """Sums over prompts of (C - mean C) (right - mean right) and (C - mean C)^2.

    Where calls cost 1, the second is n1 n0 / (n1 + n0), the numbers with and without one, and the quotient is the risk
    difference of Mantel and Haenszel.
    """
    covariance = spread = 0.0
    for answers in prompts:
        mean = sum(cost for cost, _ in answers) / len(answers)
        covariance += sum((cost - mean) * right for cost, right in answers)
        spread += sum((cost - mean) ** 2 for cost, _ in answers)
    return covariance, spread
