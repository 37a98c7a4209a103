"""What is wrapped around an answer and says nothing: LaTeX's boxes, Markdown, "The answer is"."""

from __future__ import annotations

import re

from verl_hdpo.grading.brackets import closing
from verl_hdpo.grading.doubt import is_harmless
from verl_hdpo.grading.spelling import tidy

_PAIRS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("```", "```"), ("`", "`"), ('"', '"'), ("'", "'"),
    ("**", "**"), ("__", "__"), ("*", "*"), ("«", "»"), ("「", "」"), ("<answer>", "</answer>"))  # fmt: skip
_BOXES = (
    "boxed fbox framebox text textbf textit texttt textrm textnormal textsf mathrm mathbf mathit mathsf mbox emph bm "
    "underline ensuremath boldsymbol mathtt"
).split()
_BOX = re.compile(rf"\\(?:{'|'.join(_BOXES)})\s*\{{")
_LEAD = re.compile(
    r"(?:(?:so|thus|therefore|hence|then|and|now|finally|ok(?:ay)?|sure)\b[,:]?\s+)*"
    r"(?:(?:the|my|our|its|a|your)\s+)?(?:(?:final|correct|right|best|only|exact|numerical|simplified)\s+)*"
    r"(?:answer|ans|result|solution|response|final|conclusion)\b(?:\s+(?:here|choice|option))?"
    r"(?:\s+(?:to|for|of)\s+(?:the|this|that)\s+(?:question|problem|exercise))?"
    r"\s*(?::|=|\bis\b|\bare\b|\bwould be\b|\bmust be\b|\bshould be\b|(?=[$\\]))\s*(?:[:=]|that\b)?\s*"
    r"|(?:so|thus|therefore|hence)\b[,:]?\s+(?:(?:it|this|that|we\s+(?:have|get|find|see))\s*(?:is\b|that\b|[:=])?\s*)?"
    r"|(?:it|this|that)(?:'s|\s+is)\s+(?:equal\s+to\s+)?|we\s+(?:have|get|find|obtain)\s+(?:that\s+)?"
    r"|(?:the\s+)?答案\s*(?:是|为|為|:|:)?\s*:?|#+\s*|=\s*(?!=)",
    re.IGNORECASE,
)  # fmt: skip
_BOLD = re.compile(r"(?:(?<=\s)|^)(\*\*|__)(?=\S)((?:(?!\1).)+?)(?<=\S)\1(?=\W|$)")
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]")


def peel(text: str) -> str:
    """``text``, tidy, without whatever wraps the whole of it."""
    text = tidy(text)
    before = None
    while text != before:
        before = text
        text = _without_ends(_BOLD.sub(r"\2", text))
        text = _without_pair(_without_lead(text))
        text = _without_box(text)
    return text


def within_prose(text: str) -> str | None:
    """The one formula of a peeled sentence that says nothing else; None for any other text."""
    boxes = list(_boxed(text))
    spans = boxes or [found.span() for found in _FORMULA.finditer(text)]
    if len(spans) != 1:
        return None
    (start, end) = spans[0]
    around = text[:start].replace("$", " ").replace("\\(", " ").replace("\\[", " "), text[end:].strip("$.\\)] ")
    if not all(is_harmless(one.strip(" .,:;")) for one in around):
        return None
    return peel(text[start:end])


def without_marks(text: str) -> str:
    """A peeled text without the dollars and boxes inside of it: ``\\boxed{7} cm`` and ``$1$ and $2$``."""
    text = _FORMULA.sub(lambda found: " " + next(filter(None, found.groups())) + " ", text)
    while spans := list(_boxed(text)):
        start, end = spans[0]
        inner = text[text.index("{", start) + 1 : end - 1]
        text = f"{text[:start]} {inner} {text[end:]}"
    return " ".join(text.split())


def _boxed(text: str) -> list[tuple[int, int]]:
    found = []
    for match in re.finditer(r"\\(?:boxed|fbox)\s*\{", text):
        if (end := closing(text, match.end() - 1)) >= 0:
            found.append((match.start(), end + 1))
    return found


def _without_ends(text: str) -> str:
    text = text.strip().rstrip(";,")
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    return text.strip().removesuffix("\\").strip()


def _without_lead(text: str) -> str:
    found = _LEAD.match(text)
    return text[found.end() :] if found and found.end() < len(text) else text


def _without_pair(text: str) -> str:
    for start, end in _PAIRS:
        if len(text) > len(start) + len(end) and text.startswith(start) and text.endswith(end):
            inner = text[len(start) : len(text) - len(end)]
            if start not in inner and end not in inner:
                return inner.strip()
    return text


def _without_box(text: str) -> str:
    if (found := _BOX.match(text)) and closing(text, found.end() - 1) == len(text) - 1:
        return text[found.end() : -1].strip()
    if text.startswith("{") and len(text) > 2 and closing(text, 0) == len(text) - 1:
        return text[1:-1].strip()
    return text
