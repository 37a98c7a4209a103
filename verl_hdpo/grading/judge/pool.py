"""``EndpointPool``: several endpoints of one judge; who is asked, and who next if that one does not reply."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from verl_hdpo.grading.judge.endpoint import BUSY, Endpoint, Fault, Reply

logger = logging.getLogger(__name__)

ATTEMPTS = 6
"""Requests for one verdict, those not counted that found a server busy."""
WARNING_SECONDS = 60.0
POLL_SECONDS = 0.1
FIRST_PAUSE = {False: 0.1, True: 0.5}
"""Seconds before the same endpoint is asked again for the same verdict, if it is busy or not; doubled each time."""


class Asked(NamedTuple):
    """What came of asking.

    Attributes:
        verdict: None if nobody gave one.
        cause: why not, in most of the attempts.
        requests: how many were sent.
        tokens: of all prompts, and of all replies.
    """

    verdict: bool | None
    cause: str = ""
    requests: int = 0
    tokens: tuple[int, int] = (0, 0)


class EndpointPool:
    """Asks the healthy endpoint with the fewest requests under way; after a fault another one, with backoff and jitter.

    A server that is busy is asked again when it said, or later and later; others are asked meanwhile. While every
    endpoint is down for longer than ``deadline``, verdicts fail at once, but for one request now and then that sees
    whether a server is back: the run then learns soon that its judge is gone.

    Args:
        timeout: seconds for one request.
        deadline: seconds for a verdict.
    """

    def __init__(self, endpoints: Sequence[Endpoint], timeout: float, deadline: float) -> None:
        self.endpoints = list(endpoints)
        self.timeout, self.deadline = timeout, deadline
        self._down_since: float | None = None
        self._next_warning = 0.0

    async def ask(self, messages: Callable[[], Sequence[Any]], read: Callable[[Reply], bool | None]) -> Asked:
        """A verdict on what ``messages`` shows, which is made anew for each request; None of ``read`` is a fault."""
        deadline = time.monotonic() + self.deadline
        tried: Counter[Endpoint] = Counter()
        causes: Counter[str] = Counter()
        ready: dict[Endpoint, float] = {}
        tokens = (0, 0)
        while tried.total() - causes[BUSY] < ATTEMPTS:
            now = time.monotonic()
            able = [one for one in self.endpoints if one.breaker.allows(now, one.in_flight)]
            free = [one for one in able if ready.get(one, 0) <= now]
            if not free:
                wait = min(max(one.breaker.until, ready.get(one, 0)) for one in self.endpoints) - now
                wait = max(wait, POLL_SECONDS) * random.uniform(1, 1.25)
                if now + wait > deadline or self._is_down(now):
                    break
                await asyncio.sleep(wait)
                continue
            endpoint = min(free, key=lambda one: (tried[one], one.in_flight, random.random()))
            tried[endpoint] += 1
            try:
                reply = await endpoint.ask(messages(), max(min(self.timeout, deadline - now), 0.001))
                self._down_since = None
                endpoint.breaker.succeeded()
                tokens = tokens[0] + reply.tokens[0], tokens[1] + reply.tokens[1]
                if (verdict := read(reply)) is None:
                    raise reply.unreadable()
                return Asked(verdict, "", tried.total(), tokens)
            except Fault as fault:
                causes[fault.cause] += 1
                self._note(endpoint, fault)
                pause = fault.retry_after
                if pause is None:
                    pause = FIRST_PAUSE[fault.cause == BUSY] * 2 ** min(tried[endpoint] - 1, 5)
                ready[endpoint] = time.monotonic() + pause * random.uniform(1, 1.25)
        cause = max(causes, key=lambda one: causes[one], default="judge_down")
        return Asked(None, cause, tried.total(), tokens)

    async def close(self) -> None:
        for endpoint in self.endpoints:
            await endpoint.close()

    def _is_down(self, now: float) -> bool:
        down = self._down_since is not None and now - self._down_since > self.deadline
        return down and all(one.breaker.tripped for one in self.endpoints)

    def _note(self, endpoint: Endpoint, fault: Fault) -> None:
        now = time.monotonic()
        self._down_since = self._down_since or now
        if fault.of_server:
            endpoint.breaker.failed(now, at_once=fault.lasting)
        if now >= self._next_warning:
            self._next_warning = now + WARNING_SECONDS
            logger.warning("the judge at %s: %s (such messages come once a minute)", endpoint.url, endpoint.told(fault))
