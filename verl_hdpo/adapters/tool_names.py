"""``check_own``: is there a tool of this name? Asked before verl and torch are imported."""

from __future__ import annotations

from verl_hdpo.runs.did_you_mean import did_you_mean

OWN = ("calculator", "image_search", "mcp", "python", "text_search")
"""This package's tools: modules of ``verl_hdpo.tools``."""


class TrialError(ValueError):
    """A call that cannot be made; the message says what to give instead."""


def check_own(name: str) -> None:
    """Raises ``TrialError`` unless ``name`` is one of ``OWN``."""
    if name not in OWN:
        advice = did_you_mean(name, OWN)
        end = "" if advice.endswith("?") else "."
        raise TrialError(f"no tool of this package is called {name}; {advice}{end} Your own: a tool yaml with --config")
