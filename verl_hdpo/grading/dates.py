"""Dates and times of day, as they are usually written."""

from __future__ import annotations

import re

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join(f"{month}|{month[:3]}\\.?" for month in _MONTHS) + "|sept\\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?"
_FORMS = (
    (re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})"), "ymd"),
    (re.compile(rf"{_WEEKDAY}({_MONTH})\s+{_DAY}(?:\s*,?\s+(\d{{4}}))?", re.I), "mdy"),
    (re.compile(rf"{_WEEKDAY}(?:the\s+)?{_DAY}\s+(?:of\s+)?({_MONTH})(?:\s*,?\s+(\d{{4}}))?", re.I), "dmy"),
    (re.compile(rf"({_MONTH})\s*,?\s+(\d{{4}})", re.I), "my"),
)
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:([ap])\.?\s*m\.?)?", re.I)
_HOUR = re.compile(r"(\d{1,2})\s*([ap])\.?\s*m\.?", re.I)

Moment = tuple[str | int | None, ...]


def read_moment(text: str) -> Moment | None:
    """A date as year, month, day, or a time as hour, minute, second and half of the day; None for other text."""
    for form, order in _FORMS:
        if found := form.fullmatch(text):
            parts = dict(zip(order, found.groups(), strict=True))
            month = parts["m"]
            number = (
                int(month)
                if month.isdigit()
                else _MONTHS.index(next(m for m in _MONTHS if m[:3] == month[:3].lower())) + 1
            )
            year, day = parts.get("y"), parts.get("d")
            date = (int(year) if year else None, number, int(day) if day else None)
            return ("date", *date) if 1 <= number <= 12 and (date[2] is None or 1 <= date[2] <= 31) else None
    if found := _HOUR.fullmatch(text):
        return ("time", int(found[1]), 0, 0, found[2].lower())
    if (found := _TIME.fullmatch(text)) and int(found[1]) < 24 and int(found[2]) < 60:
        half = found[4].lower() if found[4] else None
        return ("time", int(found[1]), int(found[2]), int(found[3] or 0), half)
    return None


def same_moment(reference: Moment, answer: Moment) -> bool:
    """Whether they are equal; an answer may say which half of the day it is where the reference does not."""
    if reference[0] != answer[0] or reference[0] == "date":
        return reference == answer
    if reference[-1] is None and answer[-1] is not None:
        return reference[1:-1] == answer[1:-1] or reference[1:-1] == _of_24_hours(answer)
    return _of_24_hours(reference) == _of_24_hours(answer) and (answer[-1] is not None or reference[-1] is None)


def _of_24_hours(time: Moment) -> Moment:
    _, hour, minute, second, half = time
    if half is None or not isinstance(hour, int):
        return (hour, minute, second)
    return (hour % 12 + (12 if half == "p" else 0), minute, second)
