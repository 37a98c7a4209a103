"""``did_you_mean``: what to say of a name that is none of those known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean price?`` where one is close, else ``known: ...``, all of them."""
    names = list(known)
    close = closest(name, names)
    return f"did you mean {close}?" if close else f"known: {', '.join(names)}"


def closest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The one most like ``name``, capitals aside; None where none is as like as ``likeness``, from 0 to 1."""
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=likeness)
    return folded[close[0]] if close else None
