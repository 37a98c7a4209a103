"""When a call's time is over: by its own time, or else by the clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from verl_hdpo.tools.sandbox.session_process import SessionProcess, own_seconds

_SHORTEST_WAIT = 0.01


class Deadline:
    """Calls ``then`` when a session has had ``seconds`` of its own time since now, or at ``latest``.

    Args:
        process: the session's.
        seconds: see ``own_seconds``.
        latest: by the event loop's clock.
        then: told whether the session was kept from running, so that it has not had its time.
    """

    def __init__(
        self, process: SessionProcess, seconds: float, latest: float | None, then: Callable[[bool], None]
    ) -> None:
        self._process, self._seconds, self._then = process, seconds, then
        self._latest = math.inf if latest is None else latest
        self._start = process.usage()
        self._loop = asyncio.get_running_loop()
        self._wait(seconds)

    def cancel(self) -> None:
        """Forget it."""
        self._timer.cancel()

    def _wait(self, left: float) -> None:
        patience = max(0.0, self._latest - self._loop.time())
        self._timer = self._loop.call_later(min(left, patience), self._look)

    def _look(self) -> None:
        left = self._seconds - own_seconds(self._start, self._process.usage())
        if left <= 0 or self._loop.time() >= self._latest:
            self._then(left > 0)
        else:
            self._wait(max(_SHORTEST_WAIT, left))
