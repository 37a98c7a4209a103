"""The sandbox's processes below those that own them: launchers, zygotes, interpreters."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import NamedTuple

import psutil


class Sandboxes(NamedTuple):
    """``zygotes`` are the processes that interpreters are forked from."""

    zygotes: list[psutil.Process]
    interpreters: list[psutil.Process]


def sandboxes_of(*owners: psutil.Process) -> Sandboxes:
    """By command line and descent; a fork keeps the command line of its parent."""
    found: dict[int, tuple[psutil.Process, int, str]] = {}
    for process in itertools.chain.from_iterable(owner.children(recursive=True) for owner in owners):
        with contextlib.suppress(psutil.Error):
            if process.name() != "bwrap":  # which has what it runs in its command line
                found[process.pid] = process, process.ppid(), " ".join(process.cmdline())
    inside = {pid for pid, (_, _, command) in found.items() if "verl_hdpo.tools.sandbox import" in command}
    launchers = {pid for pid in inside if "import launcher" in found[pid][2] and found[pid][1] not in inside}
    # Below bubblewrap a zygote has a command line of its own; else it is the launcher's child.
    zygotes = {pid for pid in inside - launchers if found[pid][1] not in inside - launchers}
    return Sandboxes(*([found[pid][0] for pid in chosen] for chosen in (zygotes, inside - launchers - zygotes)))


def wait_until_busy(*owners: psutil.Process, spare: int, seconds: float = 120.0) -> None:
    """Until at least two trajectories of each owner have an interpreter for a moment, besides the ``spare`` ones."""
    ends, since = time.monotonic() + seconds, None
    while since is None or time.monotonic() - since < 0.3:
        assert time.monotonic() < ends, f"no interpreters of {owners} are used"
        if any(len(sandboxes_of(owner).interpreters) < spare + 2 for owner in owners):
            since = None
        elif since is None:
            since = time.monotonic()
        time.sleep(0.05)


def kill(processes: list[psutil.Process]) -> None:
    """kill -9."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
