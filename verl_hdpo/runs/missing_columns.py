"""``missing_columns``: columns that options name and that no row has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from verl_hdpo.runs.did_you_mean import closest


def missing_columns(named: Mapping[str, str], columns: Iterable[str]) -> Iterator[str]:
    """A line for each option whose column is missing.

    Args:
        named: option -> the column that it names; empty: none.
        columns: of all rows together.
    """
    known = list(columns)
    for option, name in named.items():
        if name and known and name not in known:
            hint = f"did you mean {close}? " if (close := closest(name, known)) else ""
            yield f"no row has a column {name} ({option}); {hint}columns: {', '.join(known)}"
