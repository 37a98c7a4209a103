"""A few characters that take hours to work out, of the kinds that are easily told."""

from __future__ import annotations

import re

# A power of a power, an exponent or a factorial of four digits, long numbers in a binomial.
_EXPLOSIVE = re.compile(
    r"(?:\^|\*\*)[\s({+-]*[\d.]*[\s)}]*(?:\^|\*\*)|(?:\^|\*\*)[\s({+-]*\d{3}|\d{4}[\s)}]*!|!\s*[)}]*\s*!"
    r"|(?:\^|\*\*)\s*[({][^)}]*\d\s*(?:\*|\\times|\\cdot)\s*\d|\\[dt]?binom[^a-zA-Z]*\d{5}|\)\s*!"
)


def is_explosive(text: str) -> bool:
    """Whether ``text`` may keep a computer algebra system busy for long."""
    return bool(_EXPLOSIVE.search(text))
