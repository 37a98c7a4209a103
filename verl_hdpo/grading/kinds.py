"""The rules: an answer is compared in the way that fits the kind of the reference."""

from __future__ import annotations

import enum
import functools
import re

from verl_hdpo.grading.brackets import depth
from verl_hdpo.grading.choice import chosen, letters
from verl_hdpo.grading.comparison import has_value, same
from verl_hdpo.grading.dates import read_moment, same_moment
from verl_hdpo.grading.numbers import Number
from verl_hdpo.grading.policy import Policy
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
)
from verl_hdpo.grading.spelling import squeezed
from verl_hdpo.grading.words import same_words
from verl_hdpo.grading.wrappers import peel, within_prose, without_marks
from verl_hdpo.grading.yes_no import OPPOSITES, same_side
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.reward import Check

SPARE_CHARS = 2000
"""An answer may be so much longer than twice its reference; beyond that it is wrong unread."""
CACHED = 20_000
_SOURCES: dict[type, str] = {
    Number: "number", Formula: "expression", Group: "list", Union: "interval", Relation: "relation", Matrix: "matrix",
    Tagged: "number",
}  # fmt: skip
_TIMES_E = re.compile(r"(\d)e(?=[+-])")
_DOTS = re.compile(r"\\[lcd]?dots\b|\.\.\.|…")
_UNFINISHED = re.compile(r"\d\s*(?:\\[lcd]?dots\b|\.\.\.|…)|\\(?:int|sum|prod|lim)(?![a-zA-Z])")
"""A number that goes on, or an operation that is left to do."""


class Next(enum.Enum):
    """Who is to decide when the rules here do not."""

    NOBODY = "undecided"
    MATH_VERIFY = "math_verify"


@functools.lru_cache(CACHED)
def decide(reference: str, answer: str, check: Check = "auto", policy: Policy = Policy()) -> Outcome | Next:  # noqa: B008
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
    if check == "auto" and (outcome := _named(wanted, found)) is not None:
        return outcome
    return _shaped(wanted, found, check, policy)


def can_be_compared(reference: str, policy: Policy) -> bool:
    """Whether a reference that the rules read as mathematics has a value."""
    try:
        return has_value(read_shape(peel(reference), policy))
    except NoShape:
        return True


def _named(wanted: str, found: str) -> Outcome | Next | None:
    """For a choice, a yes or no, a date or a time; None where the reference is none of them."""
    if (sought := letters(wanted)) is not None:
        taken = chosen(found, one_of=len(sought) == 1)
        return Next.NOBODY if taken is None else Outcome.graded(float(taken == sought), "choice")
    if wanted.casefold() in OPPOSITES:
        side = same_side(wanted, found)
        return Next.NOBODY if side is None else Outcome.graded(float(side), "yes_no")
    if (moment := read_moment(wanted)) is not None:
        other = read_moment(found)
        if other is not None:
            return Outcome.graded(float(same_moment(moment, other)), "date")
        if ":" not in found or moment[-1]:
            return Outcome.right("words") if same_words(wanted, found) else Next.NOBODY
    return None


def _shaped(wanted: str, found: str, check: Check, policy: Policy) -> Outcome | Next:
    shapes = [shape for text in dict.fromkeys((wanted, without_marks(wanted))) for shape in _readings(text, policy)]
    if not shapes:
        wordy = is_wordy(wanted)
        if wordy and check == "math":
            return Outcome.unknown("no_mathematics")
        if same_words(wanted, found):
            return Outcome.right("words")
        return Next.NOBODY if wordy or _DOTS.search(wanted + found) or is_wordy(found) else Next.MATH_VERIFY
    source = _SOURCES.get(type(shapes[0]), "expression")
    candidates = dict.fromkeys(filter(None, (found, without_marks(found), within_prose(found))))
    read = [shape for text in candidates for shape in _readings(text, policy, prose=True)]
    if any(same(shape, other, policy) for shape in shapes for other in read):
        return Outcome.right(source)
    if not has_value(shapes[0]):
        return Outcome.unknown("reference_has_no_value")
    if read:
        return Outcome.wrong(source)
    if is_wordy(wanted + " " + found) and same_words(wanted, found):
        return Outcome.right("words")
    if is_wordy(found):
        return Next.NOBODY
    if isinstance(shapes[0], Number) or _DOTS.search(wanted + found):
        return Outcome.wrong(source)
    return Next.MATH_VERIFY


def _readings(text: str, policy: Policy, prose: bool = False) -> list[Shape]:
    """``3,5`` may be a number and a list."""
    found: list[Shape] = []
    spaced = _TIMES_E.sub(r"\1 e ", text)  # 2e-1 may be 0.2, and 2e less 1
    if spaced != text:
        found = _readings(spaced, policy)
    for comma in dict.fromkeys((policy.decimal_comma, policy.decimal_comma and not re.search(r"\d,\d", text))):
        try:
            shape = read_shape(text, policy._replace(decimal_comma=comma), prose)
        except NoShape:
            continue
        if shape not in found:
            found.append(shape)
    return found


def fits_math_verify(text: str) -> bool:
    """Whether ``text`` is short and flat enough for math-verify, and one formula."""
    return len(text) <= 400 and depth(text) <= 14 and text.count("$") <= 2 and text.count("\\boxed") <= 1
