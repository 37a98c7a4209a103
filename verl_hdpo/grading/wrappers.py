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
    r"(?:answer|ans|result|solution|response|final|conclusion|total|sum|product|difference|ratio|value|average|mean)\b(?:\s+(?:here|choice|option))?"
    r"(?:\s+(?:to|for|of)\s+(?:the|this|that)\s+(?:question|problem|exercise))?"
    r"\s*(?::|=|\bis\b|\bare\b|\bwould be\b|\bmust be\b|\bshould be\b|(?=[$\\]))\s*(?:[:=]|that\b)?\s*"
    r"|(?:so|thus|therefore|hence)\b[,:]?\s+(?:(?:it|this|that|we\s+(?:have|get|find|see))\s*(?:is\b|that\b|[:=])?\s*)?"
    r"|(?:it|this|that)(?:'s|\s+is)\s+(?:equal\s+to\s+)?|we\s+(?:have|get|find|obtain)\s+(?:that\s+)?"
    r"|(?:the\s+)?答案\s*(?:是|为|為|:|:)?\s*:?|#+\s*|=\s*(?!=)",
    re.IGNORECASE,
)  # fmt: skip
_BOLD = re.compile(r"(?:(?<=\s)|^)(\*\*|__)(?=\S)((?:(?!\1).)+?)(?<=\S)\1(?=\W|$)")
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]")

_LATEX = re.compile(r"\\(?:text|quad|\(|\)|\[|\])|[${}]|,?\s+and\s")
_NO_WORDS = re.compile(r"\\[a-zA-Z]+|[^\w\s]|\band\b")
_LAST_CLAUSE = re.compile(
    r"(?:no[t,]?\s+)?(?:(?:it|this|that|the\s+answer)(?:'s|\s+is)\s+)?not\s+[^,;]{1,30}?[,;]?\s+(?:but\s+)?(?:it's|it\s+is|but)\s+(.+)"
    r"|[^,;]{1,80}?,?\s+which\s+(?:is|equals|gives|makes)\s+(.+)",
    re.IGNORECASE | re.DOTALL,
)
_EXACT = re.compile(r"\\frac|\\sqrt|\\pi|/")


def peel(text: str) -> str:
    """``text``, tidy, without whatever wraps the whole of it."""
    text = tidy(text)
    before, is_formula = None, False
    while text != before:
        before = text
        text = _without_ends(_BOLD.sub(r"\2", text))
        text = _without_lead(text)
        is_formula = is_formula or text[:1] in ("$", "\\")
        text = _without_box(_without_pair(text))
        if text.startswith("{") and len(text) > 2 and closing(text, 0) == len(text) - 1:
            if "," in text and not is_formula:  # a set: only LaTeX's own braces say nothing
                return f"\\{text[:-1]}\\}}"
            text = text[1:-1].strip()
    return text


def forms(text: str) -> list[str]:
    """A peeled text as it is, without dollars and boxes, and the exact one of two values: ``1/3 \\approx 0.33``."""
    found = [text, _without_marks(text)]
    exact, approximately, _ = text.partition("\\approx")
    if approximately and _EXACT.search(exact):
        found.append(_without_marks(exact.strip()))
    return list(dict.fromkeys(found))


def in_prose(text: str, trusted: bool = False) -> list[str]:
    """What a peeled sentence comes to: its formulas, where it says nothing beside them, and its last clause.

    Args:
        trusted: whether it is the reference, in which no sign between boxes joins them.
    """
    found = [_formulas(text, trusted)]
    if clause := _LAST_CLAUSE.fullmatch(text):
        found.append(peel(clause[1] or clause[2]))
    return list(filter(None, found))


def one_formula(text: str) -> str:
    """A peeled text as the formula that math-verify is to read, which would leave out what stands beside dollars."""
    return _formulas(text, trusted=False) or _without_marks(text)


def _formulas(text: str, trusted: bool) -> str:
    """The boxes, or the formulas, of a text that says nothing beside them; empty for any other text."""
    spans = _boxed(text) or [found.span() for found in _FORMULA.finditer(text)]
    ends = [0, *(end for _, end in spans)]
    between = [text[end:start] for end, (start, _) in zip(ends, spans, strict=False)] + [text[ends[-1] :]]
    said_between = [(_NO_WORDS if trusted else _LATEX).sub(" ", one) for one in between]
    if not spans or not all(map(is_harmless, said_between)):
        return ""
    return ", ".join(peel(text[start:end]) for start, end in spans)


def _without_marks(text: str) -> str:
    """A peeled text without the dollars and boxes inside of it: ``\\boxed{7} cm`` and ``$1$ and $2$``."""
    text = _FORMULA.sub(lambda found: " " + next(filter(None, found.groups())) + " ", text)
    while spans := _boxed(text):
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
    return text
