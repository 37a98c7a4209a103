"""A rate limit that all processes of a node keep together: each query takes the next free slot in time."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from verl_hdpo.runs.private_cache import private_cache
from verl_hdpo.tools.search.provider import ProviderError

FARTHEST_SECONDS = 3600.0
"""A slot further ahead was written by something else, or before the clock was set back: it is free."""


class RateLimit:
    """Slots ``1 / per_second`` apart, handed out in order of asking; the state is one number in SQLite.

    Args:
        folder: shared by the processes, on a local disk.
        secret: what queries are counted against; only its hash is stored.
        per_second: most queries per second; None for no limit of our own, only pauses that the provider asked for.
    """

    def __init__(self, folder: Path, secret: str, per_second: float | None):
        self._cache = private_cache(folder, eviction_policy="none")
        self._key = hashlib.sha256(secret.encode()).hexdigest()
        self._interval = 1.0 / per_second if per_second else 0.0

    def take(self, longest: float) -> float:
        """Take the next slot and give the seconds until it comes. Blocking, for milliseconds.

        Raises:
            ProviderError: it is more than ``longest`` seconds away; none is taken.
        """
        now = time.time()
        with self._cache.transact(retry=True):
            slot = max(now, self._stored())
            if slot - now > longest:
                raise ProviderError(f"the next free slot is {slot - now:.0f} s away, over the rate limit")
            self._cache[self._key] = slot + self._interval
        return slot - now

    def pause(self, seconds: float) -> None:
        """Hand out no slot for ``seconds``, in any process: the provider asked for it."""
        until = time.time() + seconds
        with self._cache.transact(retry=True):
            self._cache[self._key] = max(until, self._stored())

    def _stored(self) -> float:
        try:
            found = self._cache.get(self._key, 0.0)
        except (ValueError, RecursionError):  # not valid JSON
            return 0.0
        return found if isinstance(found, float) and found <= time.time() + FARTHEST_SECONDS else 0.0
