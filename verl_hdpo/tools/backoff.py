"""How long to wait before a request is tried again: at random, ever longer, and no less than the server asked for."""

from __future__ import annotations

import email.utils
import random
import time
from datetime import timezone

import tenacity
from tenacity.wait import wait_base


class Backoff(wait_base):
    """Seconds up to a limit that doubles from ``first`` to ``longest``, after the error's ``retry_after``.

    A server that has no room asks all whom it refuses to come back after the same time. They are spread over as long
    again, else they would all come at once.
    """

    def __init__(self, first: float, longest: float):
        self._limit = tenacity.wait_exponential(multiplier=first, max=longest)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        pause: float = getattr(error_of(retry_state), "retry_after", None) or 0.0
        return pause + random.uniform(0.0, max(self._limit(retry_state), pause))


def error_of(state: tenacity.RetryCallState) -> BaseException | None:
    """What the last try raised."""
    return None if state.outcome is None else state.outcome.exception()


def retry_after(header: str | None) -> float | None:
    """Seconds in a ``Retry-After`` header, given as a number or as a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        when = email.utils.parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return max(0.0, when.replace(tzinfo=when.tzinfo or timezone.utc).timestamp() - time.time())
