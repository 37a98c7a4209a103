"""``missing_columns``: columns that options name and that no row has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping


def missing_columns(named: Mapping[str, str], columns: Iterable[str]) -> Iterator[str]:
    """A line for each option whose column is missing.

    Args:
        named: option -> the column that it names; empty: none.
        columns: of all rows together.
    """
    known = list(columns)
    for option, name in named.items():
        if name and known and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            yield f"no row has a column {name} ({option}); {hint}columns: {', '.join(known)}"
