"""Search results kept on disk, for all workers of a node and for the runs after this one."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from verl_hdpo.runs.private_cache import KeptValues
from verl_hdpo.tools.search.passage import Passage

logger = logging.getLogger(__name__)

MAX_BYTES = 16 << 30
"""Above this the oldest results are dropped."""


class ResultCache:
    """``(provider, query, topk) -> passages`` in SQLite, safe under any number of threads and processes.

    A cache that cannot be read or written is a cache without the entry, and a warning.

    Args:
        folder: on a local disk, for this user alone.

    Raises:
        NotPrivate: other users may read or write the folder.
    """

    def __init__(self, folder: Path):
        self._kept = KeptValues(folder, MAX_BYTES, "searches")

    def get(self, provider: str, query: str, topk: int) -> list[Passage] | None:
        """None when there is no entry, or one that is not a list of passages."""
        found = self._kept.get(_key(provider, query, topk))
        try:
            return None if found is None else [Passage(*map(str, fields)) for fields in found]
        except TypeError as error:
            logger.warning("an entry of the cache of searches is not a list of passages: %r", error)
            return None

    def put(self, provider: str, query: str, topk: int, passages: Sequence[Passage]) -> None:
        self._kept.put(_key(provider, query, topk), [list(passage) for passage in passages])


def _key(provider: str, query: str, topk: int) -> str:
    return json.dumps([provider, query, topk], ensure_ascii=False)
