"""Verdicts kept on disk, for all workers of a node and for the runs after this one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verl_hdpo.runs.private_cache import FAULTS, KeptValues, NotPrivate
from verl_hdpo.settings.group import SettingsError

MAX_BYTES = 4 << 30
"""Above this the oldest verdicts are dropped."""


class VerdictCache:
    """``key -> verdict``, safe under any number of threads and processes. Blocking.

    A verdict that cannot be read or written is one that is not cached, and a warning.

    Args:
        folder: on a local disk, for this user alone.

    Raises:
        SettingsError: the folder cannot be used, or others may read or write it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._kept = KeptValues(folder, MAX_BYTES, "verdicts")
        except NotPrivate as error:
            raise SettingsError(str(error)) from None
        except FAULTS as error:
            raise SettingsError(f"verdicts cannot be kept in {folder}: {error}") from None

    def get(self, key: str) -> str | None:
        """The verdict on ``key``, a :func:`verdict_key`; None where there is none."""
        found = self._kept.get(key)
        return found if isinstance(found, str) else None

    def put(self, key: str, verdict: str) -> None:
        self._kept.put(key, verdict)


def verdict_key(parts: Sequence[Any]) -> str:
    """SHA-256, in hex, of all that a verdict depends on, as JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
