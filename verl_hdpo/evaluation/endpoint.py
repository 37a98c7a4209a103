"""``Endpoint``: an OpenAI-compatible server, asked on tokens through ``/v1/completions``.

The chat template and the tool parser stay on this side, as in training: a prompt is sent as token ids, and token ids
come back where the server can send them (``return_token_ids``, as vLLM does), else text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_random_exponential

ATTEMPTS = 6
NEUTRAL = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Sampling as it is without these; unsaid, vLLM takes them from the checkpoint's ``generation_config.json``."""
EXTRAS = {"return_token_ids": True, "skip_special_tokens": False, **NEUTRAL}
"""Fields beyond OpenAI's; a server that refuses them is asked without."""
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)


class EndpointError(RuntimeError):
    """A server that cannot be reached or refuses what it is asked; the message says what it answered."""


class _Busy(Exception):
    """Worth another attempt."""


@dataclass(frozen=True)
class Completion:
    """What the server wrote.

    Attributes:
        text: without what the server takes for special tokens, unless it was asked to keep them and does.
        token_ids: None if the server does not tell.
        finished: it came to an end by itself, not at ``max_tokens``.
    """

    text: str
    token_ids: list[int] | None
    finished: bool


class Endpoint:
    """A model at a server.

    Args:
        url: of the server, with or without ``/v1``.
        model: name under which the server has it; None: the only one it has.
        api_key: sent as bearer token.
        timeout: seconds for one answer.
        connections: requests at a time.
    """

    def __init__(
        self, url: str, model: str | None = None, api_key: str | None = None, timeout: float = 600.0,
        connections: int = 32,
    ):  # fmt: skip
        self.url = url.rstrip("/").removesuffix("/v1") + "/v1"
        self.model = model
        self._extras = EXTRAS
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_connections=connections),
        )

    async def connect(self) -> str:
        """Find the server and its model; returns the model's name.

        Raises:
            EndpointError: no server, none of that kind, or no such model.
        """
        try:
            answer = await self._client.get("/models")
            names = [model["id"] for model in answer.raise_for_status().json()["data"]]
        except httpx.TransportError as error:
            raise EndpointError(
                f"no server at {self.url} ({type(error).__name__}: {error}); is it started, and is the address right?"
            ) from error
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            raise EndpointError(f"{self.url}/models does not list models as OpenAI's API does: {error}") from error
        if self.model is None and len(names) != 1:
            raise EndpointError(f"{self.url} has {', '.join(names) or 'no models'}; say which by --served-name")
        if self.model is not None and self.model not in names:
            raise EndpointError(f"{self.url} has no model {self.model}; it has {', '.join(names) or 'none'}")
        self.model = self.model or names[0]
        return self.model

    async def complete(self, prompt_ids: Sequence[int], settings: Mapping[str, Any]) -> Completion:
        """Continue ``prompt_ids``.

        Args:
            settings: fields of the request: ``max_tokens``, ``temperature``, ``seed``, ...; they go before ``EXTRAS``.

        Raises:
            EndpointError: the server refused, or did not answer ``ATTEMPTS`` times.
        """
        request = {
            "model": self.model,
            "prompt": list(prompt_ids),
            **settings,
        }
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_random_exponential(max=30),
                retry=retry_if_exception_type(_Busy),
            ):
                with attempt:
                    return await self._ask(request)
        except RetryError as error:
            raise EndpointError(
                f"{self.url} gave no answer in {ATTEMPTS} attempts: {error.last_attempt.exception()}"
            ) from error
        raise AssertionError("unreachable")

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, request: dict[str, Any]) -> Completion:
        extras = self._extras
        try:
            answer = await self._client.post("/completions", json={**extras, **request})
        except httpx.TransportError as error:
            raise _Busy(f"{type(error).__name__}: {error}") from error
        if answer.status_code in (400, 422) and any(name in answer.text for name in extras):
            self._extras = {}
            raise _Busy(f"HTTP {answer.status_code}: {answer.text[:300]}")
        if answer.status_code in AGAIN:
            raise _Busy(f"HTTP {answer.status_code}: {answer.text[:300]}")
        if answer.status_code != 200:
            raise EndpointError(f"{self.url}/completions answered HTTP {answer.status_code}: {answer.text[:500]}")
        try:
            choice = answer.json()["choices"][0]
            return Completion(choice["text"], choice.get("token_ids"), choice.get("finish_reason") != "length")
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise EndpointError(f"{self.url}/completions answered no completion: {answer.text[:300]}") from error
