"""``Estimate``: a number measured on some questions, with a 95 % confidence interval.

The questions are the sample, whatever the number of rollouts of each: rollouts of one question are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy.stats import bootstrap
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.95
RESAMPLES = 9999


@dataclass(frozen=True)
class Estimate:
    """A value and its interval.

    Attributes:
        value, low, high: NaN where nothing was measured; low and high also where one question says nothing of spread.
        questions: how many questions it rests on.
    """

    value: float
    low: float
    high: float
    questions: int


NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def share(hits: Sequence[float], weights: Sequence[float]) -> Estimate:
    """``sum(hits) / sum(weights)``, one entry per question, with Wilson's interval.

    With one rollout per question this is Wilson's interval of a proportion. With several its sample size is (sum w)^2 /
    sum w^2 (Kish 1965), the number of questions where all count alike: as if the rollouts of a question always agreed.

    Args:
        hits: of each question, a number in [0, its weight].
        weights: of each question, its rollouts that count; one without any plays no part.
    """
    questions = sum(weight > 0 for weight in weights)
    if not questions:
        return NOTHING
    value = min(sum(hits) / sum(weights), 1.0)
    size = sum(weights) ** 2 / sum(weight**2 for weight in weights)
    low, high = proportion_confint(value * size, size, alpha=1 - LEVEL, method="wilson")
    return Estimate(value, min(float(low), value), max(float(high), value), questions)  # rounding aside, so already


def mean(values: Sequence[float], seed: int = 0) -> Estimate:
    """Mean over questions with the percentile interval of a bootstrap over them.

    Of differences between two measurements on the same questions this is the paired bootstrap.
    """
    if not len(values):
        return NOTHING
    array = numpy.asarray(values, dtype=float)
    value = float(array.mean())
    if len(array) == 1:
        return Estimate(value, math.nan, math.nan, 1)
    if (array == array[0]).all():
        return Estimate(value, value, value, len(array))
    interval = bootstrap(
        (array,),
        numpy.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        batch=max(1, 10_000_000 // len(array)),
        rng=numpy.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), len(array))
