"""The time that passes for a run, by which a slow machine is told from a stalled run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from verl_hdpo.runs.process_tree import ProcessTree

LOOK_SECONDS = 5.0
"""Between looks at the process table, which are not free."""


class Processes(Protocol):
    """Those whose time counts, such as a :class:`ProcessTree`."""

    def look(self) -> Sequence[int]:
        """The ids of those that run now."""


class TreeClock:
    """Seconds, less the share of each that the run's processes spent in the queue for a processor.

    On an idle machine these are seconds of the clock. Where the processes get a tenth of what they ask for, because
    others take the cores, ten seconds count as one. Without Linux's ``/proc/PID/task/TID/schedstat``, all count.
    """

    def __init__(self, tree: Processes):
        self.now = 0.0
        self._tree, self._looked = tree, time.monotonic()
        self._threads: dict[Path, tuple[int, int]] = {}

    def look(self) -> None:
        """Let ``now`` go on; call it now and then."""
        looked, before = time.monotonic(), self._threads
        passed = looked - self._looked
        self._threads = {
            thread: found
            for pid in self._tree.look()
            for thread in Path(f"/proc/{pid}/task").glob("*")
            if (found := _ran_and_waited(thread))
        }
        ran, waited = (
            sum(found[i] - before.get(thread, (0, 0))[i] for thread, found in self._threads.items()) / 1e9
            for i in range(2)
        )
        self.now += had(passed, ran, waited)
        self._looked = looked


def had(passed: float, ran: float, waited: float) -> float:
    """Of ``passed`` seconds those in which threads could run that ``ran`` and ``waited`` for so long, in all.

    The share of what they asked for that they got; but no more was lost than was waited: daemons that do next to
    nothing wait for a moment whenever they wake up.
    """
    return max(passed - waited, passed * ran / (ran + waited)) if waited > 0 else passed


class Patience:
    """Whether a process has written nothing into its ``log`` for ``seconds`` of its :class:`TreeClock`."""

    def __init__(self, pid: int, log: Path, seconds: float):
        self._clock, self._log, self._seconds = TreeClock(ProcessTree(pid, log.parent)), log, seconds
        self._size, self._since, self._look_at = 0, 0.0, 0.0

    def is_over(self, progress: bool = False) -> bool:
        """Whether it is; ``progress`` is another sign of it, seen since the last call."""
        if time.monotonic() >= self._look_at:
            self._clock.look()
            self._look_at = time.monotonic() + LOOK_SECONDS
        if progress or self._log.stat().st_size > self._size:
            self._since, self._size = self._clock.now, self._log.stat().st_size
        return self._clock.now - self._since > self._seconds


def _ran_and_waited(thread: Path) -> tuple[int, int] | None:
    """Nanoseconds on a processor and in the queue for one; None if the thread has ended."""
    try:
        ran, waited, _ = (thread / "schedstat").read_text().split()
        return int(ran), int(waited)
    except (OSError, ValueError):
        return None
