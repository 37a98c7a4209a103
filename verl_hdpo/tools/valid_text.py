"""Text from outside, made valid: JSON may hold half of a surrogate pair, which no tokenizer and no file takes."""

from __future__ import annotations


def valid_text(text: str) -> str:
    """``text`` with every lone surrogate replaced by U+FFFD; both halves of a pair become their character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
