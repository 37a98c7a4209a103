"""Verdicts kept on disk, for all workers of a node and for the runs after this one."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diskcache

from verl_hdpo.settings.group import SettingsError

logger = logging.getLogger(__name__)

MAX_BYTES = 4 << 30
"""Above this the oldest verdicts are dropped."""

_LOCK_SECONDS = 10.0
_FAULTS = (OSError, sqlite3.Error, diskcache.Timeout, ValueError)


class VerdictCache:
    """``key -> verdict`` in SQLite, safe under any number of threads and processes; JSON only. Blocking.

    The folder is for its owner alone (0700): who can write there decides what is right. A verdict that cannot be read
    or written is one that is not cached, and a warning.

    Args:
        folder: on a local disk; SQLite's locks do not hold on network file systems.

    Raises:
        SettingsError: the folder cannot be used, or belongs to another user.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.getuid():
                raise SettingsError(f"the folder of verdicts {folder} belongs to another user; name one of your own")
            folder.chmod(0o700)
            # JSON, because the default, pickle, would run what another user wrote into the folder.
            self._cache = diskcache.Cache(
                str(folder), timeout=_LOCK_SECONDS, disk=diskcache.JSONDisk, size_limit=MAX_BYTES
            )
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise SettingsError(f"the folder of verdicts {folder} cannot be used: {error}") from None

    def get(self, key: str) -> str | None:
        """The verdict on ``key``, a :func:`verdict_key`; None where there is none."""
        try:
            found = self._cache.get(key)
        except _FAULTS as error:
            logger.warning("could not read the cache of verdicts: %r", error)
            return None
        return found if isinstance(found, str) else None

    def put(self, key: str, verdict: str) -> None:
        try:
            self._cache.set(key, verdict)
        except _FAULTS as error:
            logger.warning("could not write the cache of verdicts: %r", error)

    def close(self) -> None:
        self._cache.close()


def verdict_key(parts: Sequence[Any]) -> str:
    """SHA-256, in hex, of all that a verdict depends on, as JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
