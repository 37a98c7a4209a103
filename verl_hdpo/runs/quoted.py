"""``quoted``: a value for a hydra override that is taken as it is written, a path say."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[\w.@+-]*/[\w/.@+-]*", re.ASCII)  # with a slash it is no number, and not null or true


def quoted(value: object) -> str:
    """``value``, in quotes where hydra's grammar would make something else of it, or nothing."""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    # Backslashes are escapes only before a quote, which may be the one at the end.
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", text)) + "'"
