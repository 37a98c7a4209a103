"""Text that a tokenizer takes: web pages, files and models bring halves of surrogate pairs, which no encoder does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def valid_text(text: str) -> str:
    """``text`` with U+FFFD for each half of a surrogate pair; halves that belong together become their character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def valid_texts(value: Any) -> Any:
    """The same for every text in ``value``, which is made of what JSON is made of."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, Mapping):
        return {valid_texts(key): valid_texts(inner) for key, inner in value.items()}
    return [valid_texts(inner) for inner in value] if isinstance(value, list) else value
