"""``Clock``: how long a comparison will still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable


class Clock:
    """Time left, from the runs done so far in this process.

    Args:
        runs: runs still to do.
        steps: steps of each run; None if that is not known before a run has ended.
        now: seconds, monotonic.
    """

    def __init__(self, runs: int, steps: int | None, now: Callable[[], float] = time.monotonic):
        self._runs, self._steps, self._now = runs, steps, now
        self._ended_seconds: list[float] = []
        self._going: dict[Hashable, float] = {}  # each run's beginning
        self._pace: float | None = None  # seconds of a run, as the last step of any let expect

    def start(self, run: Hashable, ago: float = 0.0) -> None:
        """``run`` begins, or began ``ago`` seconds before, beside those that go on."""
        self._going[run] = self._now() - ago

    def at(self, run: Hashable, step: int) -> None:
        """``run`` has done ``step``."""
        if self._steps and step:
            self._pace = (self._now() - self._going[run]) / step * self._steps  # start-up is spread over the steps

    def end(self, run: Hashable, seconds: float) -> None:
        """``run`` has ended, after ``seconds``."""
        del self._going[run]
        self._ended_seconds.append(seconds)

    @property
    def left(self) -> float | None:
        """Seconds, or None as long as nothing can be said: by the mean of the runs ended, else by one's pace.

        As many runs as go on now are taken to go on at a time.
        """
        if self._ended_seconds:
            each = sum(self._ended_seconds) / len(self._ended_seconds)
        elif self._pace is not None:
            each = self._pace
        else:
            return None
        now, going = self._now(), len(self._going)
        waiting = self._runs - len(self._ended_seconds) - going
        left_of_going = sum(max(each - (now - began), 0.0) for began in self._going.values())
        return (left_of_going + each * waiting) / max(going, 1)


def duration(seconds: float | None) -> str:
    """As a person says it: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
