"""The rules: an answer is compared in the way that fits the kind of the reference."""

from __future__ import annotations

import enum
import functools
import re

from verl_hdpo.grading.choice import OPPOSITES, chosen, letters, same_side
from verl_hdpo.grading.comparison import has_value, same
from verl_hdpo.grading.dates import read_moment, same_moment
from verl_hdpo.grading.numbers import Number, read_share
from verl_hdpo.grading.shapes import (
    Formula,
    Group,
    Matrix,
    NoShape,
    Relation,
    Shape,
    Tagged,
    Union,
    is_wordy,
    read_shape,
    without_decimal_comma,
)
from verl_hdpo.grading.spelling import squeezed
from verl_hdpo.grading.words import same_words
from verl_hdpo.grading.wrappers import forms, in_prose, peel
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.policy import DEFAULT_POLICY, Policy
from verl_hdpo.settings.reward import Check

SPARE_CHARS = 2000
"""An answer may be so much longer than twice its reference; beyond that it is wrong unread."""
CACHED = 20_000
_SOURCES: dict[type, str] = {
    Number: "number", Formula: "expression", Group: "list", Union: "interval", Relation: "relation", Matrix: "matrix",
    Tagged: "number",
}  # fmt: skip
_TIMES_E = re.compile(r"(\d)e(?=[+-])")
_NO_VALUE = re.compile(r"\\[lcd]?dots\b|\.\.\.|…|\d:\d")
"""What math-verify makes a value of although it has none."""
_UNFINISHED = re.compile(r"\d\s*(?:\\[lcd]?dots\b|\.\.\.|…)|\\(?:int|sum|prod|lim)(?![a-zA-Z])")
"""A number that goes on, or an operation that is left to do."""

_HALF = re.compile(r"^(?:<(?!.*>$)|>|\\(?:le|ge|ne)(?![a-zA-Z]))|[-+*/^=]\s*$")
_FORMULA = re.compile(r"[\^_=<>\\]")


class Next(enum.Enum):
    """Who is to decide when the rules here do not."""

    NOBODY = "undecided"
    MATH_VERIFY = "math_verify"


@functools.lru_cache(CACHED)
def decide(reference: str, answer: str, check: Check = "auto", policy: Policy = DEFAULT_POLICY) -> Outcome | Next:
    """Whether ``answer`` is right, with the check that decided; or who else is to be asked."""
    if len(answer) > SPARE_CHARS + 2 * len(reference):
        return Outcome.wrong("too_long")
    wanted, found = peel(reference), peel(answer)
    if squeezed(wanted) == squeezed(found) != "":
        return Outcome.right("exact")
    if check == "exact":
        return Outcome.graded(float(squeezed(wanted.casefold()) == squeezed(found.casefold()) != ""), "exact")
    if not found:
        return Outcome.wrong("empty")
    if _UNFINISHED.search(answer) and not _UNFINISHED.search(reference):
        return Outcome.wrong("unfinished")
    if check == "auto" and (outcome := _named(wanted, found, policy)) is not None:
        return outcome
    if _HALF.search(found) and not _HALF.search(wanted):
        return Outcome.wrong("unfinished")
    return _shaped(wanted, found, check, policy)


def _named(wanted: str, found: str, policy: Policy) -> Outcome | Next | None:
    """For a choice, a yes or no, a date or a time; None where the reference is none of them."""
    if (sought := letters(wanted)) is not None:
        taken = chosen(found, one_of=len(sought) == 1)
        return Next.NOBODY if taken is None else Outcome.graded(float(taken == sought), "choice")
    if wanted.casefold() in OPPOSITES:
        side = same_side(wanted, found)
        return Next.NOBODY if side is None else Outcome.graded(float(side), "yes_no")
    if (moment := read_moment(wanted, policy)) is not None:
        other = read_moment(found, policy)
        if other is not None:
            return Outcome.graded(float(same_moment(moment, other)), "date")
        if ":" not in found or moment[-1]:
            return Outcome.right("words") if same_words(wanted, found, policy) else Next.NOBODY
    return None


def _shaped(wanted: str, found: str, check: Check, policy: Policy) -> Outcome | Next:
    shapes = _read(wanted, policy, is_answer=False)
    if not shapes:
        wordy = is_wordy(wanted)
        if wordy and check == "math":
            return Outcome.unknown("no_mathematics")
        if (wordy or not _FORMULA.search(wanted)) and same_words(wanted, found, policy):
            return Outcome.right("words")
        is_mathematics = not (wordy or is_wordy(found) or _NO_VALUE.search(wanted + found))
        return Next.MATH_VERIFY if is_mathematics else Next.NOBODY
    source = _SOURCES.get(type(shapes[0]), "expression")
    read = _read(found, policy, is_answer=True)
    if any(same(shape, other, policy) for shape in shapes for other in read):
        return Outcome.right(source)
    if not has_value(shapes[0]):
        return Outcome.unknown("reference_has_no_value")
    if read:
        return Outcome.wrong(source)
    if is_wordy(wanted) and not isinstance(shapes[0], Group) and same_words(wanted, found, policy):
        return Outcome.right("words")
    if is_wordy(found):
        return Next.NOBODY
    if isinstance(shapes[0], Number) or _NO_VALUE.search(wanted + found):
        return Outcome.wrong(source)
    return Next.MATH_VERIFY


def _read(text: str, policy: Policy, is_answer: bool) -> list[Shape]:
    """What a peeled text may mean; a sentence counts only where it means nothing as a whole."""
    readings = [forms(text), in_prose(text, trusted=not is_answer)]
    if not is_answer and text.count("\\boxed") > 1:
        readings.reverse()
    for texts in readings:
        if shapes := [shape for one in texts for shape in _readings(one, policy, is_answer)]:
            return shapes
    return []


def _readings(text: str, policy: Policy, prose: bool = False) -> list[Shape]:
    """``3,5`` may be a number and a list, and ``6 out of 10`` of an answer a share and a count."""
    if (share := read_share(text, policy)) is not None:
        return list(share) if prose else [share[0]]
    found: list[Shape] = []
    spaced = _TIMES_E.sub(r"\1 e ", text)  # 2e-1 may be 0.2, and 2e less 1
    if spaced != text:
        found = _readings(spaced, policy)
    for reading in dict.fromkeys((policy, without_decimal_comma(policy) if re.search(r"\d,\d", text) else policy)):
        try:
            shape = read_shape(text, reading, prose)
        except NoShape:
            continue
        if shape not in found:
            found.append(shape)
    return found
