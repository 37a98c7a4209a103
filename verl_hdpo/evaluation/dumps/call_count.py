"""``call_count``: how many tool calls a row reports."""

from __future__ import annotations

from typing import Any

from verl_hdpo.evaluation.dumps.finite import finite
from verl_hdpo.evaluation.dumps.lines import RolloutsError

MOST = 1_000_000
"""Calls of a rollout; a larger number counts something else."""


def call_count(value: Any, where: str) -> int | None:
    """``value`` as a count of calls; None where it is not a number.

    Args:
        where: file, line and column, for messages.

    Raises:
        RolloutsError: a number that cannot be a count.
    """
    found = finite(value)
    if found is None:
        return None
    if not (found.is_integer() and 0 <= found <= MOST):
        raise RolloutsError(f"{where}: calls must be a whole number from 0 to {MOST}, found {value!r}")
    return int(found)
