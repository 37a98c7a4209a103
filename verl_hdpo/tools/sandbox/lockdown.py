"""The walls that a session puts up around itself, in the order in which they can be put up."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from verl_hdpo.tools.sandbox import kernel, landlock, namespaces, seccomp
from verl_hdpo.tools.sandbox.limits import Limits

FIRST_TO_END = 1000
ZYGOTE_SCORE = 900
"""``oom_score_adj`` of sessions, and of what all of them depend on."""

NICENESS = 5
"""A third of the processor time that training gets where both want it; training waits for calls, too."""


@dataclass(frozen=True)
class Walls:
    """What holds a session.

    Attributes:
        limits: its resources.
        sealed: whether there are walls at all, or only limits.
        proc_fd: handle of a /proc that shows the session.
        readable: Landlock handles of what it may read; None where the kernel has no Landlock.
        own_mounts: whether it can have a scratch directory of its own, and the kernel counts its threads apart.
    """

    limits: Limits
    sealed: bool
    proc_fd: int
    readable: Sequence[int] | None
    own_mounts: bool


def lock_down(walls: Walls, scratch: str) -> None:
    """Shut this process in; ``scratch`` becomes its home and current directory.

    Raises:
        OSError: a wall could not be put up; nothing hostile may run in this process.
    """
    limits = walls.limits
    prefer_to_end("self", FIRST_TO_END, walls.proc_fd)
    os.nice(NICENESS)
    mapped_pages = int(_read("self/statm", walls.proc_fd).split()[0])
    if walls.own_mounts:
        namespaces.own_scratch(walls.proc_fd, limits.scratch_mb)
    os.chdir(scratch)
    os.environ.update({"HOME": scratch, "TMPDIR": scratch})
    limits.enforce(mapped_pages * resource.getpagesize(), count_threads=walls.own_mounts)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if not walls.sealed:
        return
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if walls.readable is not None:
        landlock.restrict(walls.readable, landlock.open_paths([scratch, os.devnull]))
    seccomp.restrict(os.getpid(), threads=walls.own_mounts)


def prefer_to_end(process: str, score: int, proc_fd: int | None = None) -> bool:
    """When memory is short, have the kernel kill this process before others; 1000 is the first choice.

    Returns:
        Whether it will: not where /proc is read-only.
    """
    try:
        handle = os.open(f"{process}/oom_score_adj", os.O_WRONLY, dir_fd=proc_fd)
    except OSError:
        return False
    try:
        os.write(handle, str(score).encode())
    finally:
        os.close(handle)
    return True


def _read(path: str, dir_fd: int) -> bytes:
    handle = os.open(path, os.O_RDONLY, dir_fd=dir_fd)
    try:
        return os.read(handle, 4096)
    finally:
        os.close(handle)
