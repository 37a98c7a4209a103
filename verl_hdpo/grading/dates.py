"""Dates and times of day, as they are usually written."""

from __future__ import annotations

import re

from verl_hdpo.settings.policy import DEFAULT_POLICY, Policy

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join(f"{month}|{month[:3]}\\.?" for month in _MONTHS) + "|sept\\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?"
_FORMS = (
    (re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"), "ymd"),
    (re.compile(rf"{_WEEKDAY}({_MONTH})\s+{_DAY}(?:\s*,?\s+(\d{{4}}))?", re.I), "mdy"),
    (re.compile(rf"{_WEEKDAY}(?:the\s+)?{_DAY}\s+(?:of\s+)?({_MONTH})(?:\s*,?\s+(\d{{4}}))?", re.I), "dmy"),
    (re.compile(rf"({_MONTH})\s*,?\s+(\d{{4}})", re.I), "my"),
)
_TIME = re.compile(r"(?:at\s+)?(\d{1,2})(?:[:h.](\d{2}))?(?::(\d{2}))?\s*(?:([ap])\.?\s*m\b\.?|hours)?", re.I)
_NAMED_TIMES = {"noon": 12, "midday": 12, "midnight": 0}
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")

Moment = tuple[str | int | None, ...]


def read_moment(text: str, policy: Policy = DEFAULT_POLICY) -> Moment | None:
    """A date as year, month, day, or a time of day as hour, minute, second, half; None for other text."""
    if (found := _SLASHED.fullmatch(text)) and policy.dates != "written":
        day, month = (found[2], found[1]) if policy.dates == "month_first" else (found[1], found[2])
        return _date(int(found[3]), int(month), int(day))
    for form, order in _FORMS:
        if found := form.fullmatch(text):
            parts = dict(zip(order, found.groups(), strict=True))
            year, day = parts.get("y"), parts.get("d")
            return _date(int(year) if year else None, _month(parts["m"]), int(day) if day else None)
    words = text.casefold().removeprefix("at ").removeprefix("12 ").split()
    if len(words) == 1 and words[0] in _NAMED_TIMES:
        return ("time", _NAMED_TIMES[words[0]], 0, 0, True)
    return _time(text)


def _date(year: int | None, month: int, day: int | None) -> Moment | None:
    return ("date", year, month, day) if 1 <= month <= 12 and (day is None or 1 <= day <= 31) else None


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    return next(number for number, month in enumerate(_MONTHS, 1) if month[:3] == text[:3].lower())


def _time(text: str) -> Moment | None:
    found = _TIME.fullmatch(text)
    if found is None or int(found[1]) > 24 or int(found[2] or 0) > 59:
        return None
    half = found[4].lower() if found[4] else None
    if not half and (found[2] is None or text[found.end(1)] == "."):
        return None
    hour = int(found[1]) % 12 + (12 if half == "p" else 0) if half else int(found[1]) % 24
    return ("time", hour, int(found[2] or 0), int(found[3] or 0), bool(half or hour > 12 or not hour))


def same_moment(reference: Moment, answer: Moment) -> bool:
    """Whether they are equal. ``10:30`` is read as of 24 hours; ``10:30 PM`` is right for it, being more exact."""
    if reference == answer or reference[0] != answer[0] or reference[0] == "date":
        return reference == answer
    if reference[:4] == answer[:4]:
        return True
    twelve_hours_later = (int(reference[1] or 0) + 12) % 24
    return not reference[4] and bool(answer[4]) and (twelve_hours_later, *reference[2:4]) == answer[1:4]
