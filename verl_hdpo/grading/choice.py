"""Answers out of a few: letters of a multiple choice (``B``, ``(B)``, ``Option B``, ``B. cat``), yes or no."""

from __future__ import annotations

import re

from verl_hdpo.grading.doubt import takes_back

_TOKEN = re.compile(r"[A-Za-z]+(?:'[a-z]+)?|\S")
_LETTERS = frozenset("ABCDEFGHIJ")
_TOGETHER = re.compile(r"[A-J]{2,6}")
_MARKS = frozenset("()[]{}.:,;*_`$\"'-—/&")
_LEAD = frozenset(
    """
    the my our your final correct right best answer ans option options choice choices letter statement is are would be
    must should it it's that's this so therefore thus hence i we would i'd i'll choose chose pick select go with
    think believe that
    """.split()
)
_TAIL = frozenset("is because since as".split())
OPPOSITES = {"yes": "no", "no": "yes", "true": "false", "false": "true"}
_STATEMENT = re.compile(r"(?:the\s+)?(?:statement|claim|sentence)\s+is\s+")
_SAME = {"yeah": "yes", "yep": "yes", "yup": "yes", "nope": "no", "nah": "no"}


def letters(reference: str) -> frozenset[str] | None:
    """The letters that a peeled reference names; None if it is no choice."""
    if found := re.fullmatch(r"\(?\s*([A-Z])\s*\)?[.):]?|\(([a-z])\)", reference):
        return frozenset((found[1] or found[2]).upper())
    if _TOGETHER.fullmatch(reference) and list(reference) == sorted(set(reference)):
        return frozenset(reference)
    several = _several(_TOKEN.findall(reference))
    return several if several and len(several) > 1 else None


def chosen(answer: str, one_of: bool) -> frozenset[str] | None:
    """The letters that a peeled answer names; None where it names none, or takes it back.

    Args:
        one_of: whether a single letter is asked for: then words may explain it.
    """
    answer = re.sub(r"\\(?:text|mathrm|mathbf|textbf|boxed)\b|\\\)|[{}]", "", answer)
    tokens = _TOKEN.findall(answer)
    while len(tokens) > 1 and (tokens[0].casefold() in _LEAD or tokens[0] in _MARKS - set("([")):
        tokens.pop(0)
    bare = [token for token in tokens if token not in _MARKS]
    if not bare:
        return None
    if len(bare) == 1 and len(bare[0]) == 1 and bare[0].isalpha():
        return frozenset(bare[0].upper())
    if len(bare) == 1 and _TOGETHER.fullmatch(bare[0]):
        return frozenset(bare[0])
    if several := _several(tokens):
        return several
    return _explained(tokens) if one_of else None


def _several(tokens: list[str]) -> frozenset[str] | None:
    """The letters of a list that holds nothing else."""
    named = [token for token in tokens if token not in _MARKS and token.casefold() not in ("and", "or")]
    return frozenset(named) if named and _LETTERS.issuperset(named) else None


def _explained(tokens: list[str]) -> frozenset[str] | None:
    """The letter that ``tokens`` begin with, before words that explain it and name no other."""
    bracketed = tokens[0] in "(["
    letter, rest = tokens[bracketed], tokens[1 + bracketed :]
    if len(letter) != 1 or not letter.isalpha() or not rest or not (bracketed or letter in _LETTERS):
        return None
    closed = rest[0] == ")"
    mark, word = ([*rest[closed:], "", ""])[:2]
    said = mark in _MARKS and (mark in ".:" or word.isalpha())
    if mark and not (said or (mark.isalnum() if closed else mark.casefold() in _TAIL)):
        return None
    others = {
        token for place, token in enumerate(rest) if token in _LETTERS and (token not in "AI" or rest[place - 1] == "(")
    }
    if others or takes_back(" ".join(rest)) or "and" in rest[:2]:
        return None
    return frozenset(letter.upper())


def same_side(reference: str, answer: str) -> bool | None:
    """Whether both say yes, or no, true, false: the first word counts; None if that cannot be told."""
    side = reference.casefold().strip(" .!,'\"")
    answer = _STATEMENT.sub("", answer.casefold())
    words = [_SAME.get(word, word) for word in re.findall(r"\d+|[a-z]+(?:'[a-z]+)?", answer)]
    if side not in OPPOSITES or not words or words[0] not in OPPOSITES:
        return None
    rest = " ".join(words[1:])
    if OPPOSITES[words[0]] in words[1:] or "or" in words[1:]:
        return False
    if takes_back(rest, but=("no", "not", "never", "none") if words[0] in ("no", "false") else ()):
        return None
    return bool(words[0] == side)
