"""Which of a framework's reward functions tells whether an answer is right, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from verl_hdpo.evaluation.dumps.rollout import Outcome

_TELLING = re.compile(r"correct|accura|\bacc\b|(?:\A|_)acc(?:\Z|_)|exact_match|solved", re.IGNORECASE)


def telling(names: Iterable[str]) -> str | None:
    """The one name that speaks of correctness; None where none does, or several do."""
    found = [name for name in names if _TELLING.search(name)]
    return found[0] if len(found) == 1 else None


def outcome_of(score: float | None) -> Outcome:
    """Correct above 0.5; unknown without a score."""
    return "unknown" if score is None else "correct" if score > 0.5 else "wrong"
