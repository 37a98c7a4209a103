"""Writable directories on a shared file system, for sessions that cannot mount one of their own.

Whoever wrote the files is hostile: nothing here follows a link, a directory is looked into by its handle, and no more
of a tree is looked at than an honest session makes.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import stat
import time
from uuid import uuid4

MAX_ENTRIES, MAX_DEPTH = 4096, 32
SMALL = 64
DYING_SECONDS = 10.0
_BLOCK = 512
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _TooMuch(Exception):
    """A tree with more than ``MAX_ENTRIES`` or deeper than ``MAX_DEPTH``."""


def used_bytes(root: str, process: str | None) -> float:
    """Bytes on disk below ``root``, with the deleted files that the process still has open.

    Args:
        root: the directory.
        process: the process's directory in /proc; None to leave deleted files out.

    Returns:
        Infinity for more than ``MAX_ENTRIES`` files, a tree deeper than ``MAX_DEPTH``, a directory that cannot be read,
        and deleted files that are mapped and not open, whose size nothing tells.
    """
    try:
        handle = os.open(root, _DIRECTORY)
    except FileNotFoundError:
        return 0
    try:
        total, _ = _measure(handle, MAX_ENTRIES, MAX_DEPTH)
    except (_TooMuch, OSError):
        return math.inf
    finally:
        os.close(handle)
    return total if process is None else total + _deleted_bytes(root, process)


def _measure(directory: int, entries_left: int, depth_left: int) -> tuple[int, int]:
    """Bytes below the directory, and how many more entries may follow."""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            entries_left -= 1
            if entries_left < 0 or depth_left == 0:
                raise _TooMuch
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
                if not entry.is_dir(follow_symlinks=False):
                    continue
                inner = os.open(entry.name, _DIRECTORY, dir_fd=directory)
            except FileNotFoundError:
                continue
            try:
                below, entries_left = _measure(inner, entries_left, depth_left - 1)
            finally:
                os.close(inner)
            total += below
    return total, entries_left


def _deleted_bytes(root: str, process: str) -> float:
    mapped, sizes = set(), {}
    with contextlib.suppress(OSError):
        # Mappings first: a file that is mapped and open then is still open when descriptors are looked at.
        with open(f"{process}/maps", "rb") as lines:
            for line in lines:
                _, _, _, _, inode, *path = line.split(maxsplit=5)
                if path and path[0].startswith(os.fsencode(f"{root}/")) and path[0].endswith(b" (deleted)\n"):
                    mapped.add(int(inode))
        for entry in _entries(f"{process}/fd"):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(entry.path)
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                    sizes[status.st_ino] = status.st_blocks * _BLOCK
    return sum(sizes.values()) if mapped <= set(sizes) else math.inf


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
    with os.scandir(root) as entries:
        few = list(itertools.islice(entries, SMALL + 1))
    if len(few) > SMALL or any(entry.is_dir(follow_symlinks=False) for entry in few):
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
