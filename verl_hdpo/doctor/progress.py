"""``doing``: tell whoever waits for doctor what it is looking at."""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def doing(step: str) -> None:
    """Say what is looked at next; if that never ends, it is what is blamed."""
    for listener in _listeners:
        listener(step)


def tell(listener: Callable[[str], None]) -> None:
    """Have ``listener`` told."""
    _listeners.append(listener)
