"""``did_you_mean``: what to say of a name that is none of those known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean price?`` where one is close, else ``known: ...``, all of them."""
    names = list(known)
    folded = {known.casefold(): known for known in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"did you mean {folded[close[0]]}?" if close else f"known: {', '.join(names)}"
