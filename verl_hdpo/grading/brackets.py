"""Brackets in a text: where one closes, and what stands outside of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_OPEN, _CLOSE = "([{", ")]}"


def closing(text: str, start: int) -> int:
    """Where the brace at ``start`` closes; -1 where it does not."""
    depth = 0
    for place in range(start, len(text)):
        if text[place] in "{}" and (place == 0 or text[place - 1] != "\\"):
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return place
    return -1


def depth(text: str) -> int:
    """Most brackets in brackets."""
    found = deepest = 0
    for char in text:
        found += (char in _OPEN) - (char in _CLOSE)
        deepest = max(deepest, found)
    return deepest


def top_level(text: str) -> Iterator[int]:
    """The places in ``text`` that no bracket encloses; a bracket closes whatever opened, as in ``[0,1)``."""
    level = 0
    for place, char in enumerate(text):
        if char in _CLOSE:
            level -= 1
        if level == 0:
            yield place
        if char in _OPEN:
            level += 1


def split(text: str, separators: Sequence[str]) -> list[str]:
    """``text`` cut at the separators that no bracket encloses; the first separator that fits counts."""
    parts, start = [], 0
    for place in top_level(text):
        if place < start:
            continue
        for separator in separators:
            if text.startswith(separator, place) and _stands_alone(text, place, separator):
                parts.append(text[start:place])
                start = place + len(separator)
                break
    return [*parts, text[start:]]


def _stands_alone(text: str, place: int, separator: str) -> bool:
    """A command does not go on with a letter."""
    after = text[place + len(separator) : place + len(separator) + 1]
    return not (separator[-1].isalpha() and after.isalpha())
