"""``Judge``: asks a model whether an answer says the same as the reference."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cachetools import LRUCache

from verl_hdpo.grading.judge.endpoint import Endpoint, Reply, api_key
from verl_hdpo.grading.judge.pool import EndpointPool
from verl_hdpo.grading.judge.quote import quote
from verl_hdpo.grading.judge.reply import read_verdict
from verl_hdpo.grading.judge.template import Template
from verl_hdpo.grading.verdict_cache import VerdictCache, verdict_key
from verl_hdpo.outcomes.judge_use import JudgeUse
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.runs.data_url import data_url
from verl_hdpo.settings.group import SettingsError
from verl_hdpo.settings.judge import JudgeSettings

logger = logging.getLogger(__name__)

SOURCE = "judge"
TOO_LONG = "too_long"
IN_MEMORY = 100_000
"""Verdicts that a process remembers."""
WORDS = {True: "correct", False: "wrong"}
"""A verdict in the cache."""
CACHED = JudgeUse(asked=1, cached=1)


class Judge:
    """Correct, wrong, or unknown with its cause. For one event loop.

    An answer that is asked for more than once, as in a group of rollouts, is sent once; verdicts are kept by (template,
    judge, question, reference, answer).

    Args:
        settings: with ``endpoints``, unless ``router`` is given.
        workers: processes of the run that share ``settings.concurrency``.
        router: ``host:port`` of verl's reward model server, which is asked if no endpoints are set.
        router_model: its model's name there.

    Raises:
        SettingsError: there is no endpoint, key or template.
    """

    def __init__(
        self, settings: JudgeSettings, workers: int = 1, router: str | None = None, router_model: str | None = None
    ) -> None:
        self.settings = settings
        self._model = settings.model or router_model or ""
        if settings.endpoints:
            key = api_key(settings)
            endpoints = [Endpoint(url, self._model, key, settings.request) for url in settings.endpoints]
        elif router:
            endpoints = [Endpoint(f"http://{router}", self._model, request=settings.request, proxies=False)]
        else:
            raise SettingsError(
                "the judge has no endpoints: set reward.reward_kwargs.judge.endpoints and .model, or let verl serve it "
                "with reward.reward_model.enable=true"
            )
        self._pool = EndpointPool(endpoints, settings.timeout, settings.deadline)
        self._template = Template.read(settings.template)
        self._disk = VerdictCache(settings.cache_dir) if settings.cache_dir else None
        self._memory: LRUCache[str, bool] = LRUCache(IN_MEMORY)
        self._asking: dict[str, asyncio.Task[Outcome]] = {}
        self._slots = asyncio.Semaphore(math.ceil(settings.concurrency / workers))

    async def __call__(
        self, answer: str, references: Sequence[str], question: str, images: Sequence[Any] = ()
    ) -> Outcome:
        """Of ``answer``; never raises.

        Args:
            references: the accepted answers.
            images: of the question, as verl's messages hold them; shown if the settings say so.
        """
        try:
            longest = max([self.settings.max_answer_chars, *(4 * len(reference) for reference in references)])
            if len(answer) > longest or len(quote(answer, "")) > longest:
                return Outcome.wrong(TOO_LONG)
            shown = [await asyncio.to_thread(data_url, one) for one in images] if self.settings.images else []
            asked = self._template.version, self._model, question, shown, list(references), _normal(answer)
            key = verdict_key(asked)
            if key in self._memory:
                return _remembered(self._memory[key])
            first = key not in self._asking
            if first:
                self._asking[key] = asyncio.create_task(self._find(key, answer, references, question, shown))
                self._asking[key].add_done_callback(lambda _: self._asking.pop(key))
            outcome = await asyncio.shield(self._asking[key])
            return outcome if first else replace(outcome, judge=CACHED)
        except Exception:
            logger.exception("the judge failed on an answer, whose outcome is unknown")
            return Outcome.unknown("judge_error")

    async def close(self) -> None:
        await self._pool.close()

    async def _find(
        self, key: str, answer: str, references: Sequence[str], question: str, images: Sequence[str]
    ) -> Outcome:
        """From the disk, else from the model."""
        if self._disk:
            found = await asyncio.to_thread(self._disk.get, key)
            if found in WORDS.values():
                self._memory[key] = found == WORDS[True]
                return _remembered(self._memory[key])

        def messages() -> list[dict[str, Any]]:
            nonce = secrets.token_hex(8)
            return self._template.messages(question, references, quote(answer, nonce), nonce, images)

        queued = time.monotonic()
        async with self._slots:
            started = time.monotonic()
            asked = await self._pool.ask(messages, _verdict)
            ended = time.monotonic()
        if asked.verdict is None:
            outcome = Outcome.unknown(asked.cause)
        else:
            outcome = Outcome.graded(float(asked.verdict), SOURCE)
            self._memory[key] = asked.verdict
            if self._disk:
                await asyncio.to_thread(self._disk.put, key, WORDS[asked.verdict])
        use = JudgeUse(1, 0, asked.requests, ended - started, started - queued, *asked.tokens)
        return replace(outcome, judge=use)


def _verdict(reply: Reply) -> bool | None:
    return read_verdict(reply.content)


def _remembered(correct: bool) -> Outcome:
    return replace(Outcome.graded(float(correct), SOURCE), judge=CACHED)


def _normal(answer: str) -> str:
    """``answer`` but for what nobody would tell apart: white space and the ways to encode a character."""
    return " ".join(unicodedata.normalize("NFC", answer).split())
