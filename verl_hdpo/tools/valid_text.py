"""Text from outside, made valid: JSON may hold half of a surrogate pair, which no tokenizer and no file takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPES = re.compile(rf"{_PAIR}|(?P<half>{_HALF})|\\.", re.DOTALL)


def valid_text(text: str) -> str:
    """``text`` with every lone surrogate replaced by U+FFFD; both halves of a pair become their character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def valid_texts(value: Any) -> Any:
    """The same for every text in ``value``, which is made of what JSON is made of."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, Mapping):
        return {valid_texts(key): valid_texts(inner) for key, inner in value.items()}
    return [valid_texts(inner) for inner in value] if isinstance(value, list) else value


def valid_json(text: str) -> str:
    """JSON that strict parsers take: every escape of a lone surrogate is one of U+FFFD."""
    return _ESCAPES.sub(lambda found: r"\ufffd" if found["half"] else found[0], text)
