"""``JudgeUse``: what asking the judge about a rollout took, as columns of ``reward_extra_info`` and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

PREFIX = "judge_"


class JudgeUse(NamedTuple):
    """Numbers only, for the logs.

    Attributes:
        asked: 1 if the judge had to decide; the others are 0 if not.
        cached: 1 if nobody was asked: the verdict was known, or another rollout was already asking for it.
        requests: sent for it; those beyond the first are retries.
        seconds: from the first request to the verdict; before that ``queue_seconds`` went by.
        prompt_tokens: as the server counts; so are ``completion_tokens``.
    """

    asked: float = 0.0
    cached: float = 0.0
    requests: float = 0.0
    seconds: float = 0.0
    queue_seconds: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0

    @property
    def columns(self) -> dict[str, float]:
        return {PREFIX + name: float(value) for name, value in self._asdict().items()}

    @classmethod
    def read(cls, info: Mapping[str, Any]) -> JudgeUse:
        """From ``reward_extra_info``; all 0 where it has no such columns."""
        return cls(*(float(info.get(PREFIX + name) or 0.0) for name in cls._fields))
