"""``Judgement``: an outcome and what it cost."""

from __future__ import annotations

from dataclasses import dataclass

from verl_hdpo.outcomes.outcome import Outcome


@dataclass(frozen=True)
class Judgement:
    """What the judge says of one answer.

    Attributes:
        cached: nobody was asked for it: it was known, or was being asked for another rollout.
        requests: sent for it; those beyond the first are retries.
        seconds: from the first request to the verdict; before that ``queue_seconds`` went by.
        prompt_tokens: as the server counts; so are ``completion_tokens``.
    """

    outcome: Outcome
    cached: bool = False
    requests: int = 0
    seconds: float = 0.0
    queue_seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
