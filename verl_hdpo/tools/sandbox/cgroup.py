"""A control group of the sandbox's own (cgroup v2), where this user may make one: the kernel then bounds its memory.

A group that holds processes cannot have limits for groups inside it, so the new one lies beside this process's own,
unless that already passes its memory controller on.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

_PREFIX = "verl-hdpo-sandbox-"
_numbers = itertools.count()


def make(limit: int) -> Path | None:
    """An empty group whose processes together hold at most ``limit`` bytes; None where none can be made."""
    own = _own_group()
    for parent in () if own is None else (own, own.parent):
        group = parent / f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        with contextlib.suppress(OSError):
            if "memory" in (parent / "cgroup.subtree_control").read_text().split():
                _remove_abandoned(parent)
                group.mkdir()
                (group / "memory.max").write_text(str(limit))
                if all(os.access(each / "cgroup.procs", os.W_OK) for each in (parent, group)):
                    return group
                group.rmdir()
    return None


def join(group: str) -> None:
    """Enter ``group``, with all processes that this one will start.

    Raises:
        OSError: not allowed.
    """
    (Path(group) / "cgroup.procs").write_text("0")


def holds(group: Path | None, pid: int) -> bool:
    """Whether the process is in the group."""
    with contextlib.suppress(OSError):
        return group is not None and str(pid) in (group / "cgroup.procs").read_text().split()
    return False


def remove(group: Path | None) -> None:
    """Remove a group, if nothing is left in it."""
    with contextlib.suppress(OSError):
        if group is not None:
            group.rmdir()


def memory_here() -> int:
    """Bytes of memory that this process has at its disposal: the machine's, or its container's limit."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max" where there is none
            limits.append(int(Path(limit).read_text()))
    return min(limits)


def _own_group() -> Path | None:
    with contextlib.suppress(OSError, StopIteration):
        fields = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        mount = next(line for line in fields if line[line.index("-") + 1] == "cgroup2")
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        path = next(line for line in groups if line.startswith("0::")).removeprefix("0::")
        group = Path(mount[4]) / os.path.relpath(path, mount[3])
        return group if group.is_relative_to(mount[4]) else None
    return None


def _remove_abandoned(parent: Path) -> None:
    """Those of owners that were killed; one with processes in it stays."""
    for group in parent.glob(f"{_PREFIX}*"):
        if not os.path.exists(f"/proc/{group.name.removeprefix(_PREFIX).partition('-')[0]}"):
            remove(group)
