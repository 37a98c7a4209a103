"""A cache on disk that only its owner can read and write, and that holds JSON and nothing else."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import MODE_RAW, UNKNOWN

logger = logging.getLogger(__name__)

LOCK_SECONDS = 10.0
FAULTS = (OSError, sqlite3.Error, diskcache.Timeout, ValueError, TypeError, RecursionError)
"""What reading or writing may raise; a cache that fails is a cache without the entry."""


class NotPrivate(ValueError):
    """The folder of a cache can be read or written by others; the message says what to do."""


def private_cache(folder: Path, **settings: Any) -> diskcache.Cache:
    """A ``diskcache.Cache`` of JSON values in ``folder``, safe under any number of threads and processes.

    Who can write into the folder decides what a search finds, or which answer is right. So the folder must belong to
    this user and be closed to others; a new one is made like that.

    Args:
        folder: on a local disk; SQLite's locks do not hold on network file systems.
        settings: of ``diskcache.Cache``.

    Raises:
        NotPrivate: the folder belongs to another user, or others may read or write it.
        OSError, sqlite3.Error, diskcache.Timeout: it cannot be used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise NotPrivate(f"the cache {folder} belongs to another user (uid {found.st_uid}); name a folder of your own")
    if found.st_mode & 0o077:
        raise NotPrivate(
            f"the cache {folder} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}): they could change "
            f"what it holds; chmod 700 {folder}"
        )
    return diskcache.Cache(str(folder), timeout=LOCK_SECONDS, disk=_JSONOnly, **settings)


class KeptValues:
    """``key -> value`` in a private cache, blocking.

    A value that cannot be read is not there, one that cannot be written is not kept; each is a warning.

    Args:
        folder, max_bytes: of the cache; above its size the oldest values are dropped.
        what: is kept, for the warnings.

    Raises:
        NotPrivate and FAULTS: as ``private_cache``.
    """

    def __init__(self, folder: Path, max_bytes: int, what: str) -> None:
        self._cache, self._what = private_cache(folder, size_limit=max_bytes), what

    def get(self, key: str) -> Any:
        """The value; None where there is none."""
        try:
            return self._cache.get(key)
        except FAULTS as error:
            logger.warning("could not read the cache of %s: %r", self._what, error)
            return None

    def put(self, key: str, value: Any) -> None:
        try:
            self._cache.set(key, value)
        except FAULTS as error:
            logger.warning("could not write the cache of %s: %r", self._what, error)


class _JSONOnly(diskcache.Disk):
    """Keys and values as JSON text in the database itself.

    diskcache's own disks, ``JSONDisk`` too, unpickle a row that says so and open or delete the file that a row names:
    a planted row would run code.
    """

    def put(self, key: Any) -> tuple[str, bool]:
        return json.dumps(key), True

    def get(self, key: Any, raw: bool) -> Any:
        return json.loads(self._text(key, None if raw else "pickle", None))

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, None, str]:
        return 0, MODE_RAW, None, json.dumps(value)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        return json.loads(self._text(value, mode if mode != MODE_RAW else None, filename))

    def remove(self, file_path: str) -> None:
        """Nothing: no entry has a file."""

    @staticmethod
    def _text(value: Any, other_form: object, filename: str | None) -> str:
        if other_form is not None or filename is not None or not isinstance(value, str):
            raise ValueError("an entry of the cache is not JSON text; it was written by something else")
        return value
