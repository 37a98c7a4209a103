"""A search, from query to passages: the cache, the rate limit, then the provider until it answers or time is up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import tenacity

from verl_hdpo.tools.backoff import Backoff
from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.provider import Provider, TransientError
from verl_hdpo.tools.search.rate_limit import RateLimit
from verl_hdpo.tools.search.result_cache import ResultCache

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds between tries: at random up to a limit that doubles from one to the other."""

_THREADS = ThreadPoolExecutor(8, "verl-hdpo-search")
"""Not the loop's own threads: a cache that another process has locked would hold up every other tool."""


class Searcher:
    """One provider with all that stands before it; used on the shared I/O loop.

    Equal queries at the same time, such as a group of rollouts begins with, are sent once.

    Args:
        provider: where passages come from.
        topk: passages per query.
        deadline: seconds a search may take in all: waiting for a slot, tries and the pauses between them.
        cache: None for none.
        rate_limit: None for none.
    """

    def __init__(
        self,
        provider: Provider,
        topk: int,
        deadline: float,
        cache: ResultCache | None = None,
        rate_limit: RateLimit | None = None,
    ):
        self._provider, self._topk, self._deadline = provider, topk, deadline
        self._cache, self._rate_limit = cache, rate_limit
        self._identity = provider.model_dump_json()
        self._running: dict[str, asyncio.Task[list[Passage]]] = {}

    async def search(self, query: str) -> list[Passage]:
        """The passages for ``query``, best first; none when nothing was found.

        Raises:
            ToolUnavailable: the provider gave no answer in time, or refused to.
        """
        query = " ".join(query.split())
        task = self._running.get(query)
        if task is None:
            task = self._running[query] = asyncio.ensure_future(self._search(query))
            task.add_done_callback(lambda done: self._finished(query, done))
        return await asyncio.shield(task)  # a caller that leaves does not take the answer from the others

    def _finished(self, query: str, task: asyncio.Task[list[Passage]]) -> None:
        del self._running[query]
        if not task.cancelled():
            task.exception()  # asked for, so asyncio does not report it when every caller has left

    async def _search(self, query: str) -> list[Passage]:
        if self._cache is not None:
            found = await _in_thread(self._cache.get, self._identity, query, self._topk)
            if found is not None:
                return found
        passages = await self._ask(query)
        if self._cache is not None:
            await _in_thread(self._cache.put, self._identity, query, self._topk, passages)
        return passages

    async def _ask(self, query: str) -> list[Passage]:
        ends = time.monotonic() + self._deadline
        last: Exception | None = None
        tries = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=Backoff(FIRST_WAIT, LONGEST_WAIT),
            stop=tenacity.stop_before_delay(self._deadline),
            reraise=True,
        )

        async def attempt() -> list[Passage]:
            nonlocal last
            try:
                return await self._attempt(query, ends)
            except Exception as error:
                last = error
                raise

        try:
            return await asyncio.wait_for(tries(attempt), self._deadline)
        except Exception as error:  # whatever went wrong here, the model did not do it
            reason = last or f"no answer within {self._deadline:g} s"
            raise ToolUnavailable(f"{self._provider.kind} search: {reason}") from error

    async def _attempt(self, query: str, ends: float) -> list[Passage]:
        if self._rate_limit is None:
            return await self._provider.search(query, self._topk)
        await asyncio.sleep(await _in_thread(self._rate_limit.take, ends - time.monotonic()))
        try:
            return await self._provider.search(query, self._topk)
        except TransientError as error:
            if error.retry_after:
                await _in_thread(self._rate_limit.pause, min(error.retry_after, self._deadline))
            raise


async def _in_thread(work: Callable[..., T], *args: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work, *args)
