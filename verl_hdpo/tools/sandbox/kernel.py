"""The Linux calls that Python's ``os`` lacks, through libc; each raises ``OSError`` naming the call."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from verl_hdpo.tools.sandbox.machine import this_machine

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 1, 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_GET_SECCOMP = 21
PR_SET_NO_NEW_PRIVS = 38

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_CAPABILITY_VERSION_3 = 0x20080522

# Looked up at import: a jail holds no linker cache.
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(name: str, result: int) -> int:
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def syscall(name: str, *args: Any) -> int:
    """``syscall(2)``; integers are passed as long, the rest as ctypes takes it.

    Raises:
        OSError: it failed; the message starts with ``name``.
    """
    number = this_machine().numbers[name]
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _checked(name, _libc.syscall(ctypes.c_long(number), *words))


def prctl(option: int, *args: int) -> int:
    words = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    return _checked(f"prctl({option})", _libc.prctl(option, *words))


def unshare(flags: int) -> None:
    _checked("unshare", _libc.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    data = None if options is None else os.fsencode(options)
    _checked(f"mount {target}", _libc.mount(*words, ctypes.c_ulong(flags), data))


def detach_mount(target: str) -> None:
    _checked(f"umount {target}", _libc.umount2(os.fsencode(target), MNT_DETACH))


def pivot_root(new_root: str, put_old: str) -> None:
    syscall("pivot_root", os.fsencode(new_root), os.fsencode(put_old))


def make_read_only(target: str) -> None:
    """Mount and sub-mounts at ``target``: read-only, no set-uid, no devices but those already there."""

    class Attr(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]

    attr = Attr(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    size = ctypes.sizeof(attr)
    syscall("mount_setattr", _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, ctypes.byref(attr), size)


def close_from(first: int) -> None:
    """Close every descriptor from ``first`` on; ``os.closerange`` wants to know the last."""
    syscall("close_range", first, 0x7FFFFFFF, 0)


def drop_capabilities() -> None:
    """Give up every capability; with ``no_new_privs`` there is no way back."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    syscall("capset", ctypes.byref(header), ctypes.byref(none))
