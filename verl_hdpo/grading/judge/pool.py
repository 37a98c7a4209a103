"""``EndpointPool``: several endpoints of one judge; who is asked, and who next if that one does not reply."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from verl_hdpo.grading.judge.endpoint import Endpoint, Fault, Reply

logger = logging.getLogger(__name__)

ATTEMPTS = 6
"""Requests for one verdict, those not counted that found a server busy."""
WARNING_SECONDS = 60.0


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

    While every endpoint is down for longer than ``deadline``, verdicts fail at once, but for one request now and then
    that sees whether a server is back: the run then learns soon that its judge is gone.

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
        requests, attempts, tokens = 0, 0, (0, 0)
        while attempts < ATTEMPTS:
            now = time.monotonic()
            endpoint = self._choose(now, tried)
            if endpoint is None:
                wait = max(min(one.breaker.until for one in self.endpoints) - now, 0.0)
                wait += random.uniform(0.1, 0.3 + wait / 4)
                if now + wait > deadline or self._is_down(now):
                    break
                await asyncio.sleep(wait)
                continue
            requests += 1
            try:
                reply = await endpoint.ask(messages(), max(min(self.timeout, deadline - now), 0.001))
            except Fault as fault:
                causes[fault.cause], busy = causes[fault.cause] + 1, fault.retry_after is not None
                self._note(endpoint, fault)
            else:
                self._down_since = None
                endpoint.breaker.succeeded()
                tokens = tokens[0] + reply.tokens[0], tokens[1] + reply.tokens[1]
                verdict = read(reply)
                if verdict is not None:
                    return Asked(verdict, "", requests, tokens)
                causes["judge_unreadable"], busy = causes["judge_unreadable"] + 1, False
                hint = "; raise request.max_tokens" if reply.cut else ""
                self._warn(endpoint, f"no verdict in the reply {endpoint.told(str(reply.content))!r}{hint}")
            attempts += not busy
            tried[endpoint] += 1
            if time.monotonic() >= deadline:
                break
            if tried[endpoint] > 1:
                await asyncio.sleep(random.uniform(0.05, 0.1) * 2 ** min(attempts, 5))
        cause = max(causes, key=lambda one: causes[one], default="judge_down")
        return Asked(None, cause, requests, tokens)

    async def close(self) -> None:
        for endpoint in self.endpoints:
            await endpoint.close()

    def _choose(self, now: float, tried: Counter[Endpoint]) -> Endpoint | None:
        free = [one for one in self.endpoints if one.breaker.allows(now, one.in_flight)]
        return min(free, key=lambda one: (tried[one], one.in_flight, random.random()), default=None)

    def _is_down(self, now: float) -> bool:
        down = self._down_since is not None and now - self._down_since > self.deadline
        return down and all(one.breaker.tripped for one in self.endpoints)

    def _note(self, endpoint: Endpoint, fault: Fault) -> None:
        now = time.monotonic()
        self._down_since = self._down_since or now
        if fault.retry_after is not None:
            endpoint.breaker.busy(now, fault.retry_after)
        elif fault.of_server:
            endpoint.breaker.failed(now, at_once=fault.lasting)
        self._warn(endpoint, str(fault))

    def _warn(self, endpoint: Endpoint, what: str) -> None:
        if time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + WARNING_SECONDS
            logger.warning("the judge at %s: %s (such messages come once a minute)", endpoint.url, what)
