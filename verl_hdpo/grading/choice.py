"""Multiple choice: ``B``, ``(B)``, ``B. cat``, ``Option B``; several letters in any order."""

from __future__ import annotations

import re

_SINGLE = re.compile(r"\(?\s*([A-Z])\s*\)?[.):]?")
_SEVERAL = re.compile(r"\(?[A-J]\)?(?:(?:\s*,\s*(?:and\s+|or\s+)?|\s+and\s+|\s+|\s*&\s*|\s*;\s*)\(?[A-J]\)?)+")
_TOGETHER = re.compile(r"[A-J]{2,6}")
_LEAD = re.compile(
    r"(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:option|choice|answer|statement|letter)s?\s*:?\s*(?=[(A-J])", re.I
)
_WITH_TEXT = re.compile(
    r"\(([A-Za-z])\)\s*[.:-]?\s*(?P<bracketed>.+)|([A-J])\s*(?:[.):]|\s-)\s*(?P<plain>.+)|([A-J])\s+(?P<said>(?:is|because|since)\b.+)",
    re.DOTALL,
)
_OTHERS = re.compile(
    r"\(?\b(?:or|and|not|but|nor|versus|vs)\b\s*(?:option\s+)?\(?[A-J]\b|\([A-J]\)|\b[B-HJ]\b|\b(?:not|wrong|incorrect|false|n't)\b"
)


def letters(reference: str) -> frozenset[str] | None:
    """The letters that a peeled reference names; None if it is no choice."""
    if found := _SINGLE.fullmatch(reference):
        return frozenset(found[1])
    if found := re.fullmatch(r"\(([a-z])\)", reference):
        return frozenset(found[1].upper())
    if _SEVERAL.fullmatch(reference):
        return frozenset(re.findall(r"\b[A-J]\b", reference))
    if _TOGETHER.fullmatch(reference) and list(reference) == sorted(set(reference)):
        return frozenset(reference)
    return None


def chosen(answer: str, one_of: bool) -> frozenset[str] | None:
    """The letters that a peeled answer names; None where it names none, or takes it back.

    Args:
        one_of: whether a single letter is asked for: then words may explain it.
    """
    answer = re.sub(r"[*_`]", "", answer) if one_of else answer
    answer = re.sub(r"\\(?:text|mathrm|mathbf|textbf|boxed)\s*\{\s*([^{}]*)\s*\}", r"\1", answer).strip(" .")
    if found := _LEAD.match(answer):
        answer = answer[found.end() :]
    if found := re.fullmatch(r"\(?\s*([A-Za-z])\s*\)?\s*[.):]?", answer):
        return frozenset(found[1].upper())
    if _SEVERAL.fullmatch(answer):
        return frozenset(re.findall(r"\b[A-J]\b", answer))
    if _TOGETHER.fullmatch(answer):
        return frozenset(answer)
    if one_of and (found := _WITH_TEXT.fullmatch(answer)):
        text = found["bracketed"] or found["plain"] or found["said"]
        if not _OTHERS.search(text):
            return frozenset((found[1] or found[3] or found[5]).upper())
    return None
