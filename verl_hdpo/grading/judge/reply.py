"""``read_verdict``: what a judge's reply says. JSON as it was asked for, or the words that models use instead."""

from __future__ import annotations

import json
import re
from typing import Any

SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["correct", "wrong"]}},
    "required": ["verdict"],
    "additionalProperties": False,
}
_KEYS = ("verdict", "judgement", "judgment", "correct", "is_correct", "result", "answer")
MAX_CHARS = 20_000
"""A longer reply is no verdict."""
_CORRECT = r"correct|right|true|yes|equivalent|the same"
_WRONG = r"not (?:correct|right|true|equivalent|the same)|incorrect|wrong|false|no|inequivalent"
_LEAD = (
    r"(?:(?:so|thus|therefore|hence|overall),? )?"
    r"(?:(?:my |the |final )*(?:verdict|judge?ment|answer|response|result|conclusion)(?: is)?:? ?|it is )?"
)
_LINE = re.compile(rf"{_LEAD}(?:(?P<wrong>{_WRONG})|(?P<correct>{_CORRECT}))(?P<rest>$|[.,:;!].*)")
_OTHER = {
    "correct": re.compile(r"\b(?:not (?:correct|right|true|equivalent|the same)|incorrect|wrong|false)\b"),
    "wrong": re.compile(rf"\bis (?:{_CORRECT})\b|(?:^|[.,:;!]) ?(?:{_CORRECT})[.!]?$"),
}
"""What contradicts a verdict in the rest of its line; "Wrong. The correct answer is 5." does not."""
_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL)


def read_verdict(reply: Any) -> bool | None:
    """Whether the reply says correct; None where it cannot be read as one of two verdicts.

    Thoughts before it are left out. JSON counts as the whole reply or as its last fenced block; words count at the
    beginning of the first or last line, if the two do not contradict each other.
    """
    if not isinstance(reply, str):
        return None
    text = _THOUGHT.sub("", reply).strip()
    if len(text) > MAX_CHARS or re.match(r"<think(?:ing)?>", text):  # the second: cut off in the middle of a thought
        return None
    blocks = _FENCE.findall(text)
    for candidate in [text, *(blocks[-1:] if text.endswith("```") else [])]:
        try:
            return _json_verdict(json.loads(candidate))
        except (ValueError, RecursionError):
            continue
    lines = [line for line in text.splitlines() if line.strip(" *_`#\"'")]
    found = {_words(lines[0]), _words(lines[-1])} - {None} if lines else set()
    return found.pop() if len(found) == 1 else None


def _json_verdict(found: Any) -> bool | None:
    if isinstance(found, dict):
        found = next((found[key] for key in _KEYS if key in found), None)
    if isinstance(found, bool):
        return found
    return _words(found) if isinstance(found, str) else None


def _words(line: str) -> bool | None:
    plain = " ".join(re.sub(r"[*_`#\"'“”]+", "", line.replace("n't", " not").replace("n’t", " not")).casefold().split())
    match = _LINE.fullmatch(plain)
    if match is None:
        return None
    said = "wrong" if match["wrong"] else "correct"
    return None if _OTHER[said].search(match["rest"]) else said == "correct"
