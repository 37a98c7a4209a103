"""A session's process, as the owner of its zygote holds it: signalled by a handle, timed from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import NamedTuple

from verl_hdpo.tools.sandbox.namespaces import JAIL_SCRATCH


@dataclass(frozen=True)
class Exit:
    """How a session ended.

    Attributes:
        signal: that killed it, or 0.
        cause: given by whoever had it killed, or None; ``zygote`` if all sessions went at once.
        cpu_seconds: that it used.
    """

    signal: int
    cause: str | None
    cpu_seconds: float


_HELD = ("RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:")

LOST = Exit(0, "zygote", 0.0)


class Usage(NamedTuple):
    """Seconds so far.

    Attributes:
        clock: by the clock.
        main: of CPU time that its first thread has had.
        waited: that its first thread stood ready while the processors ran others.
        cpu: of CPU time that all its threads have had.
    """

    clock: float
    main: float
    waited: float
    cpu: float


class SessionProcess:
    """One session's process.

    Args:
        has_scratch: whether it has a file system in memory of its own.

    Attributes:
        begun: done once it can be signalled, or never will be: True or False.
        ended: done once it has ended.
    """

    def __init__(self, has_scratch: bool = False) -> None:
        self._has_scratch = has_scratch
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[bool] = loop.create_future()
        self.ended: asyncio.Future[Exit] = loop.create_future()
        self._handle = -1
        self._cause: str | None = None

    def begin(self, handle: int) -> None:
        """Take over ``handle``, a pidfd; -1 where there was no room for it."""
        self._handle = handle
        if handle != -1:
            self.pid = _pid_of(handle)
            self._shared = self._resident_bytes()
        self.begun.set_result(handle != -1)
        if self._cause is not None:
            self.send(signal.SIGKILL)

    def end(self, found: Exit) -> None:
        """Note how it ended."""
        if self._handle != -1:
            os.close(self._handle)
            self._handle = -1
        if not self.begun.done():
            self.begun.set_result(False)
        # A cause counts if the signal does: it may have ended by itself as it was to be killed.
        cause = found.cause or (self._cause if found.signal == signal.SIGKILL else None)
        self.ended.set_result(Exit(found.signal, cause, found.cpu_seconds))

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._handle != -1:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self, cause: str) -> None:
        """End it; ``Exit.cause`` says why."""
        self._cause = self._cause or cause
        self.send(signal.SIGKILL)

    def usage(self) -> Usage:
        """Its time so far; without CPU time where the kernel tells none, as when it has just ended."""
        clock = time.monotonic()
        try:
            with open(f"/proc/{self.pid}/schedstat", "rb", buffering=0) as file:
                main, waited, _ = file.read().split()
            return Usage(clock, int(main) / 1e9, int(waited) / 1e9, time.clock_gettime(_cpu_clock(self.pid)))
        except OSError:
            return Usage(clock, 0.0, 0.0, 0.0)

    def held_bytes(self) -> int:
        """Memory that it has come to hold since it was forked: its own, shared mappings, page tables, files in memory.

        What it and the process it was forked from share counts for neither.
        """
        scratch = self._scratch_bytes() if self._has_scratch else 0
        return max(0, self._resident_bytes() - self._shared) + scratch

    def _resident_bytes(self) -> int:
        try:
            with open(f"/proc/{self.pid}/status") as lines:
                return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(_HELD))
        except OSError:
            return 0

    def _scratch_bytes(self) -> int:
        try:
            files = os.statvfs(f"/proc/{self.pid}/root{JAIL_SCRATCH}")
        except OSError:  # this process may not look there, or it has just ended
            return 0
        return (files.f_blocks - files.f_bfree) * files.f_frsize


def own_seconds(start: Usage, end: Usage) -> float:
    """What counts as a call's time between two readings: the clock's, less the wait for other processes.

    That is how long the first thread stood ready and did not run, but for the time in which its own other threads did:
    who fills the processors waits for nobody. Sleeping counts, and so does all CPU time of a single thread.
    """
    others = (end.cpu - start.cpu) - (end.main - start.main)
    excused = max(0.0, (end.waited - start.waited) - max(0.0, others))
    return end.clock - start.clock - excused


def _cpu_clock(pid: int) -> int:
    return (~pid << 3) | 2  # clock_getcpuclockid(3), which Python lacks


def _pid_of(handle: int) -> int:
    """The process id, in this process's own namespace, behind a pidfd; 0 for one that has ended."""
    with open(f"/proc/self/fdinfo/{handle}") as lines:
        found = next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))
    return max(found, 0)
