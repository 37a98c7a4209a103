"""What a user's reward function returns, as an ``Outcome``: a number, a dict, or nothing where it could not tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from verl_hdpo.outcomes.numbers import as_number, reported_flag
from verl_hdpo.outcomes.outcome import Outcome, OutcomeError

SOURCE = "reward_function"
RESULT_KEYS = frozenset({"score", "acc", "outcome_known"})
ROUNDING = 1e-6
"""How far beyond [0, 1] a score may lie: sums of weights such as 0.7 + 0.2 + 0.1 do not come to 1."""
ADVICE = "return a number in [0, 1], a dict with 'score' (and 'acc'), or None where the outcome is unknown"


def outcome_of_result(result: Any) -> Outcome:
    """The outcome that a function's result stands for.

    A number is score and accuracy in one. A dict has ``score``, and may have ``acc`` and ``outcome_known``. None, NaN,
    or ``outcome_known`` = 0 is an unknown outcome.

    Raises:
        OutcomeError: anything else, with what was found and what to return.
    """
    found = result if isinstance(result, Mapping) else {"score": result}
    if not reported_flag(found.get("outcome_known"), "outcome_known"):
        return Outcome.unknown(SOURCE)
    if "score" not in found:
        raise OutcomeError(f"the custom reward function returned {dict(found)!r}, which has no 'score'; {ADVICE}")
    score, acc = (_share(found.get(key, found["score"]), found) for key in ("score", "acc"))
    return Outcome.unknown(SOURCE) if score is None or acc is None else Outcome.graded(acc, SOURCE, score)


def ignored_keys(result: Any) -> frozenset[str]:
    """The keys of a function's result that say nothing of its outcome."""
    return frozenset(map(str, result)) - RESULT_KEYS if isinstance(result, Mapping) else frozenset()


def _share(value: Any, found: Mapping[str, Any]) -> float | None:
    if value is None:
        return None
    share = as_number(value)
    if share is not None and math.isnan(share):
        return None
    if share is None or not -ROUNDING <= share <= 1 + ROUNDING:
        raise OutcomeError(
            f"the custom reward function must return a score (and acc) in [0, 1], found {dict(found)!r}; {ADVICE}"
        )
    return min(max(share, 0.0), 1.0)
