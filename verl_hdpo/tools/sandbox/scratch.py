"""Writable directories on a shared file system, for sessions that cannot mount one of their own.

Whoever wrote the files is hostile: nothing here follows a link, and trees too deep to recurse into are flattened.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from uuid import uuid4

MAX_ENTRIES = 4096
SMALL = 64
DYING_SECONDS = 10.0
_BLOCK = 512


def used_bytes(root: str, process: str | None) -> float:
    """Bytes on disk below ``root``, with the deleted files that the process still has open.

    Args:
        root: the directory.
        process: the process's directory in /proc; None to leave deleted files out.

    Returns:
        Infinity for more than ``MAX_ENTRIES`` files, and for a directory that cannot be read.
    """
    total, seen, directories = 0, 0, [root]
    while directories:
        try:
            entries = _entries(directories.pop())
            seen += len(entries)
            if seen > MAX_ENTRIES:
                return math.inf
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:
            return math.inf
    with contextlib.suppress(OSError):
        for entry in _entries(f"{process}/fd") if process else ():
            status = os.stat(entry.path)
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                total += status.st_blocks * _BLOCK
    return total


def remove(root: str) -> None:
    """Delete the tree at ``root``, however deep it is."""
    with contextlib.suppress(FileNotFoundError):
        while directories := [entry.path for entry in _entries(root) if entry.is_dir(follow_symlinks=False)]:
            for directory in directories:
                _empty_into(directory, root)
                os.rmdir(directory)
        for entry in _entries(root):
            os.unlink(entry.path)
        os.rmdir(root)


def remove_small(root: str) -> bool:
    """``remove`` a directory with few entries and no directory in it; False, and nothing done, for any other."""
    entries = _entries(root)
    if len(entries) > SMALL or any(entry.is_dir(follow_symlinks=False) for entry in entries):
        return False
    remove(root)
    return True


def remove_for_good(root: str) -> None:
    """``remove``, for as long as sessions that are dying still write there."""
    deadline = time.monotonic() + DYING_SECONDS
    while os.path.exists(root) and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            remove(root)
            return
        time.sleep(0.05)


def _empty_into(directory: str, root: str) -> None:
    """Delete the files of ``directory`` and move its directories to ``root``."""
    os.chmod(directory, 0o700)
    for entry in _entries(directory):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)
            os.rename(entry.path, os.path.join(root, uuid4().hex))
        else:
            os.unlink(entry.path)


def _entries(directory: str) -> list[os.DirEntry]:
    with os.scandir(directory) as entries:
        return list(entries)
