"""Search results kept on disk, for all workers of a node and for the runs after this one."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import diskcache

from verl_hdpo.tools.search.passage import Passage

logger = logging.getLogger(__name__)

MAX_BYTES = 16 << 30
"""Above this the oldest results are dropped."""

_LOCK_SECONDS = 10.0
_FAULTS = (OSError, sqlite3.Error, diskcache.Timeout, ValueError, TypeError)


class ResultCache:
    """``(provider, query, topk) -> passages`` in SQLite, safe under any number of threads and processes.

    A cache that cannot be read or written is a cache without the entry, and a warning.

    Args:
        folder: on a local disk; SQLite's locks do not hold on network file systems.
    """

    def __init__(self, folder: Path):
        # JSON, because the default, pickle, would run what another user wrote into the folder.
        self._cache = diskcache.Cache(str(folder), timeout=_LOCK_SECONDS, disk=diskcache.JSONDisk, size_limit=MAX_BYTES)

    def get(self, provider: str, query: str, topk: int) -> list[Passage] | None:
        """None when there is no entry."""
        try:
            found = self._cache.get(_key(provider, query, topk))
            return None if found is None else [Passage(*fields) for fields in found]
        except _FAULTS as error:
            logger.warning("could not read the search cache: %r", error)
            return None

    def put(self, provider: str, query: str, topk: int, passages: Sequence[Passage]) -> None:
        try:
            self._cache.set(_key(provider, query, topk), [list(passage) for passage in passages])
        except _FAULTS as error:
            logger.warning("could not write the search cache: %r", error)


def _key(provider: str, query: str, topk: int) -> str:
    return json.dumps([provider, query, topk], ensure_ascii=False)
