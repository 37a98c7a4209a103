"""Landlock: a process gives up every file except those it names (Linux 5.13; docs.kernel.org/userspace-api/landlock).

It governs opening, listing, making, renaming and removing files. It does not govern ``stat``, ``chmod``, ``chown``
or ``utime``; where files are only walled off by Landlock, the system-call filter answers the last three.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from verl_hdpo.tools.sandbox import kernel

_GET_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14

_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK_ABI, _ALL_TCP = 4, 3
_SCOPE_ABI, _SIGNALS_AND_ABSTRACT_SOCKETS = 6, 3

READ = _READ_FILE | _READ_DIR
WRITE = READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER | _TRUNCATE
_ON_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("path_fd", ctypes.c_int32)]


def abi() -> int:
    """Version of Landlock in the running kernel; 0 where there is none."""
    try:
        return kernel.syscall("landlock_create_ruleset", None, 0, _GET_VERSION)
    except OSError:
        return 0


def open_paths(paths: Iterable[str]) -> list[int]:
    """Handles of the paths that exist, for ``restrict``."""
    return [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths if os.path.exists(path)]


def restrict(readable: Iterable[int], writable: Iterable[int]) -> None:
    """Leave this thread, and those it starts, the files beneath ``readable`` and ``writable`` and nothing else.

    Nothing may be executed. TCP is refused from Linux 6.7, signals to outside processes from 6.12.

    Args:
        readable, writable: handles from ``open_paths``.

    Raises:
        OSError: the kernel has no Landlock, or ``no_new_privs`` is not set.
    """
    version = abi()
    files = _FILE_RIGHTS_BY_ABI[max(known for known in _FILE_RIGHTS_BY_ABI if known <= max(version, 1))]
    network = _ALL_TCP if version >= _NETWORK_ABI else 0
    scoped = _SIGNALS_AND_ABSTRACT_SOCKETS if version >= _SCOPE_ABI else 0
    attr = _Ruleset(files, network, scoped)
    fields = 3 if version >= _SCOPE_ABI else 2 if version >= _NETWORK_ABI else 1
    ruleset = kernel.syscall("landlock_create_ruleset", ctypes.byref(attr), 8 * fields, 0)
    try:
        for rights, handles in ((READ, readable), (WRITE, writable)):
            for handle in handles:
                allowed = rights & files
                if not stat.S_ISDIR(os.fstat(handle).st_mode):
                    allowed &= _ON_A_FILE
                rule = _PathRule(allowed, handle)
                kernel.syscall("landlock_add_rule", ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        kernel.syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
