"""The two parts of a hydra override as text, without hydra, whose grammar takes a while to import."""

from __future__ import annotations


def key_and_value(override: str) -> tuple[str, str]:
    """``+a.b=c`` -> ``a.b`` and ``c``; the value is empty where there is none."""
    key, _, value = override.lstrip("+~").partition("=")
    return key, value


def key_of(override: str) -> str:
    """``+a.b=c`` -> ``a.b``."""
    return key_and_value(override)[0]
