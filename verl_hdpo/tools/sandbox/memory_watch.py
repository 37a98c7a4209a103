"""Bounds the memory of all sessions of a pool together: above it, the session that holds most is ended."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary, WeakSet

from verl_hdpo.tools.io_loop import in_thread
from verl_hdpo.tools.sandbox.session_process import SessionProcess

SECONDS = 0.5
"""Between two looks."""


class MemoryWatch:
    """Looks at sessions that have run since it last looked: between calls they are stopped.

    Args:
        limit: bytes for all.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._held: WeakKeyDictionary[SessionProcess, int] = WeakKeyDictionary()
        self._running: WeakSet[SessionProcess] = WeakSet()
        self._to_see: WeakSet[SessionProcess] = WeakSet()

    def begin(self, process: SessionProcess) -> None:
        """A call of the session starts."""
        self._running.add(process)
        self._to_see.add(process)

    def end(self, process: SessionProcess) -> None:
        """The call has ended; it is looked at once more."""
        self._running.discard(process)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            seen, self._to_see = list(self._to_see), WeakSet(self._running)
            if seen:
                for process, held in zip(seen, await in_thread(_held, seen), strict=True):
                    self._held[process] = held
                self._end_largest()

    def _end_largest(self) -> None:
        alive = {process: held for process, held in self._held.items() if not process.ended.done()}
        excess = sum(alive.values()) - self._limit
        for process in sorted(alive, key=alive.__getitem__, reverse=True):
            if excess <= 0:
                break
            process.kill("memory")
            excess -= self._held.pop(process)


def _held(processes: list[SessionProcess]) -> list[int]:
    return [process.held_bytes() for process in processes]
