"""``colours``: one palette for all pictures; Okabe and Ito's, which people with colour blindness can tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

FIXED = {"hdpo": "#0072b2", "grpo": "#7f7f7f", "before training": "#000000"}
"""What has the same colour wherever it is shown."""
OTHERS = (
    "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933", "#332288", "#44aa99", "#aa4499",
    "#661100", "#b2a800",
)  # fmt: skip


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in order; they repeat only where there are more names than colours."""
    others = cycle(OTHERS)
    return {name: FIXED.get(name) or next(others) for name in dict.fromkeys(names)}
