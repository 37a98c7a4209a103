"""Linux namespaces: a file tree of its own, no network, no other processes (namespaces(7), user_namespaces(7))."""

from __future__ import annotations

import os
from collections.abc import Iterable

from verl_hdpo.tools.sandbox import kernel
from verl_hdpo.tools.sandbox.readable import Shown

_UNSHARED = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_OLD = "/.old"
_ANY = "/tmp"  # a directory to mount the tree on before it becomes the root

JAIL_SCRATCH = "/session"
JAIL_SCRATCH_MIB = 4096
"""Size of the zygote's own. A session mounts another on top; where it cannot, all share this one, which then must hold
far more than the one session that is killed for writing too much."""


def leave_host() -> None:
    """Enter new namespaces; children of this process will be in the new pid namespace, the first as its init.

    Root needs no user namespace for that; anyone else gets one.

    Raises:
        OSError: not allowed here.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        kernel.unshare(_UNSHARED)
    else:
        kernel.unshare(kernel.CLONE_NEWUSER | _UNSHARED)
        map_own_ids("/proc/self", uid, gid)


def map_own_ids(process: str, uid: int, gid: int, dir_fd: int | None = None) -> None:
    """Keep ids ``uid`` and ``gid`` in a user namespace just entered; ``process`` is its directory in /proc."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        handle = os.open(f"{process}/{name}", os.O_WRONLY, dir_fd=dir_fd)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def enter_tree(view: Iterable[Shown]) -> None:
    """Make ``view``, read-only, and an empty ``JAIL_SCRATCH`` this process's whole file tree.

    Raises:
        OSError: not allowed here.
    """
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tree", _ANY, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    os.mkdir(_ANY + _OLD)
    kernel.pivot_root(_ANY, _ANY + _OLD)
    os.chdir("/")
    for shown in view:
        _show(shown)
    os.mkdir(JAIL_SCRATCH)
    if not os.path.lexists("/tmp"):
        os.symlink(JAIL_SCRATCH, "/tmp")
    kernel.detach_mount(_OLD)
    os.rmdir(_OLD)
    kernel.make_read_only("/")
    _mount_scratch(JAIL_SCRATCH_MIB)


def _show(shown: Shown) -> None:
    os.makedirs(os.path.dirname(shown.path), exist_ok=True)
    if shown.link is not None:
        os.symlink(shown.link, shown.path)
        return
    source = _OLD + shown.source
    if os.path.isdir(source):
        os.mkdir(shown.path)
    else:
        os.close(os.open(shown.path, os.O_CREAT, 0o644))
    kernel.mount(source, shown.path, None, kernel.MS_BIND | kernel.MS_REC)


def own_scratch(proc_fd: int, size_mib: int) -> None:
    """Give this process alone an empty directory of ``size_mib`` at ``JAIL_SCRATCH``, which goes when it goes.

    It enters a user namespace, where the kernel counts its threads apart from everyone else's.

    Args:
        proc_fd: handle of a /proc that shows this process.

    Raises:
        OSError: not allowed here.
    """
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
    map_own_ids("self", uid, gid, dir_fd=proc_fd)
    _mount_scratch(size_mib)


def _mount_scratch(size_mib: int) -> None:
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("scratch", JAIL_SCRATCH, "tmpfs", flags, f"size={size_mib}m,nr_inodes={64 * size_mib},mode=1777")
