"""``Clock``: how long a comparison will still take."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Time left, from the steps done so far in this process.

    Args:
        runs: runs still to do.
        steps: steps of each run; None if that is not known before a run has ended.
        now: seconds, monotonic.
    """

    def __init__(self, runs: int, steps: int | None, now: Callable[[], float] = time.monotonic):
        self._runs, self._steps, self._now = runs, steps, now
        self._ended_seconds: list[float] = []
        self._step = 0
        self.start()

    def start(self) -> None:
        """A run begins."""
        self._began, self._step = self._now(), 0

    def at(self, step: int) -> None:
        """The run has done ``step``."""
        self._step = step

    def end(self) -> None:
        """The run has ended."""
        self._ended_seconds.append(self._now() - self._began)

    @property
    def left(self) -> float | None:
        """Seconds, or None as long as nothing can be said: the mean of the runs ended, else this one's pace."""
        spent = self._now() - self._began
        if self._ended_seconds:
            each = sum(self._ended_seconds) / len(self._ended_seconds)
        elif self._steps and self._step:
            each = spent / self._step * self._steps  # start-up is spread over the steps
        else:
            return None
        return max(each - spent, 0.0) + each * (self._runs - len(self._ended_seconds) - 1)


def duration(seconds: float | None) -> str:
    """As a person says it: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
