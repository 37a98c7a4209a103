"""What an answer does, read off its calls and its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from verl_hdpo.evaluation.benchmarks.question import Decision

UNDECIDED = "undecided"
"""Neither yes nor no, where a yes or a no was asked for."""


@dataclass(frozen=True)
class Reply:
    """What a model answered.

    Attributes:
        text: all of it, calls in it.
        words: what is outside the calls.
        calls: names of the tools called, in their order; a call that cannot be read is one too.
        finished: it came to an end by itself.
    """

    text: str
    words: str
    calls: Sequence[str]
    finished: bool


_THOUGHT = re.compile(r"<think>.*?(</think>|$)|^.*?</think>", re.DOTALL)
_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_APOSTROPHES = str.maketrans("’‘", "''")

_CANNOT = re.compile(
    r"\b(i|we)( am|'m| are|'re)? (currently |still |just )?(not able|unable|incapable|afraid)\b"
    r"|\b(i|we) (currently |still |simply |just )?(cannot|can't|can not|couldn't|could not|don't|do not|won't|lack)\b"
    r"|\b(is|are)(n't| not) (possible|available|supported|within)\b"
    r"|\b(beyond|outside) (of )?(my|the) (\w+ )?(capabilit|scope|abilit|knowledge)"
    r"|\b(unable to|no (access|ability|tool|way) to|not (capable|designed|equipped))\b"
    r"|\b(apologi[sz]e|apologies|sorry|unfortunately|regret)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(could|can|would|will|may|might) (you|i)\b[^.!]*\b(provide|specify|tell|share|confirm|clarify|give|let|"
    r"have|know|ask|indicate|elaborate|detail|mention|supply|enter|state|explain|select|choose|prefer)\b"
    r"|\bplease (\w+ )?(provide|specify|tell|share|confirm|clarify|give|let me know|indicate|supply|enter|state)\b"
    r"|\b(i|we)('ll| will| would|'d)? (also )?(need|require|like) (to know|more|some|the|your|a|an|"
    r"additional|further)\b",
    re.IGNORECASE,
)  # fmt: skip


def decision_of(reply: Reply) -> Decision:
    """Call, ask, refuse or answer; words are read by rules (:func:`in_words`)."""
    return "call" if reply.calls else in_words(reply.words)


def in_words(text: str) -> Decision:
    """What an answer without a call does.

    Who asks for something asks, apologies aside; who says that it cannot be done refuses; all else answers.
    """
    spoken = _THOUGHT.sub("", text).translate(_APOSTROPHES).strip()
    if spoken.endswith("?") or any(map(_ASKS.search, re.split(r"(?<=[.!?])\s+", spoken))):
        return "ask"
    return "refuse" if _CANNOT.search(spoken) else "answer"


def yes_or_no(text: str) -> bool | None:
    """The first yes or no of an answer; None where there is neither."""
    found = _YES_NO.search(_THOUGHT.sub("", text))
    return found[1].lower() == "yes" if found else None
