"""``Outcome``: how a rollout ended, from the grader to the trainer."""

from __future__ import annotations

from dataclasses import dataclass, field

from verl_hdpo.outcomes.judge_use import JudgeUse

SEEN_CHARS = 500


@dataclass(frozen=True)
class Outcome:
    """Right, wrong or unknown; what is unknown leaves loss and statistics.

    Attributes:
        known: False where the check, or a tool that was called, failed to run.
        acc: accuracy in [0, 1]; a rollout is correct where it exceeds ``algorithm.hdpo.correct_threshold``.
        score: what the answer contributes to r_acc, in [0, 1]; the accuracy unless a reward function gives both.
        source: which check decided, or why none could.
        judge: what asking the judge took.
        seen: the answer that the check was given, its first ``SEEN_CHARS`` characters; empty if there was none.
    """

    known: bool
    acc: float
    score: float
    source: str = ""
    judge: JudgeUse = field(default=JudgeUse(), compare=False)
    seen: str = field(default="", compare=False)

    @classmethod
    def graded(cls, acc: float, source: str = "", score: float | None = None) -> Outcome:
        """A known outcome; ``score`` is ``acc`` unless given."""
        return cls(True, acc, acc if score is None else score, source)

    @classmethod
    def right(cls, source: str = "") -> Outcome:
        return cls.graded(1.0, source)

    @classmethod
    def wrong(cls, source: str = "") -> Outcome:
        return cls.graded(0.0, source)

    @classmethod
    def unknown(cls, source: str = "") -> Outcome:
        return cls(False, 0.0, 0.0, source)


class OutcomeError(ValueError):
    """A rollout reports no outcome that can be read; the message says what was found and what to do."""
