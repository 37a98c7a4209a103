"""What a search gives back, and how the model reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NOTHING_FOUND = "No results."


class Passage(NamedTuple):
    """One result.

    Attributes:
        title: may be empty.
        text: the passage, or a web page's snippet.
        source: the page's URL, or the passage's id in a corpus.
    """

    title: str
    text: str
    source: str = ""


def listing(passages: Sequence[Passage], show_source: bool) -> str:
    """Numbered passages, best first: title, source if asked for, text."""
    if not passages:
        return NOTHING_FOUND
    blocks = []
    for number, passage in enumerate(passages, 1):
        head = f"[{number}] {passage.title}".rstrip()
        source = passage.source if show_source else ""
        blocks.append("\n".join(part for part in (head, source, passage.text) if part))
    return "\n\n".join(blocks)
