"""``Breaker``: whether an endpoint may be asked, after what happened to the requests before."""

from __future__ import annotations

import random

THRESHOLD = 5
"""Faults in a row after which an endpoint is left alone for a while."""
FIRST_SECONDS, MOST_SECONDS = 1.0, 60.0


class Breaker:
    """Closed until ``THRESHOLD`` faults in a row, then open for 1, 2, 4, ... 60 seconds with one request after each."""

    def __init__(self) -> None:
        self._faults = 0
        self.until = 0.0
        """When a request may go out again."""

    @property
    def tripped(self) -> bool:
        """Whether it takes a success to close it again."""
        return self._faults >= THRESHOLD

    def allows(self, now: float, in_flight: int) -> bool:
        """Whether a request may go out now; of a tripped one only the first, to see whether it is back."""
        return now >= self.until and (not self.tripped or in_flight == 0)

    def succeeded(self) -> None:
        self._faults, self.until = 0, 0.0

    def failed(self, now: float, at_once: bool = False) -> None:
        """A fault; ``at_once`` for one that the next request would meet as well, such as a refused key."""
        self._faults = max(self._faults + 1, THRESHOLD if at_once else 0)
        if self.tripped:
            seconds = min(FIRST_SECONDS * 2 ** min(self._faults - THRESHOLD, 10), MOST_SECONDS)
            self.until = now + seconds * random.uniform(0.75, 1.25)
