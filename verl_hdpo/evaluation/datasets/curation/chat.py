"""``Chat``: an OpenAI-compatible server that is asked questions with images."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import openai

from verl_hdpo.runs.data_url import data_url
from verl_hdpo.runs.openai_client import openai_client, v1
from verl_hdpo.runs.root_cause import root_cause
from verl_hdpo.runs.row_images import PLACEHOLDER

ATTEMPTS = 6
NO_SERVER = ("ConnectError", "UnsupportedProtocol")
"""Errors of httpx, or of httpx2 as later releases of the client use it."""


class NoReply(RuntimeError):
    """The server gave none; the message says why."""


class Unreachable(RuntimeError):
    """No server is at the address; the message names it and the error."""


class Chat:
    """A model at a server.

    Args:
        url: with or without ``/v1``.
        key: sent as bearer token.
    """

    def __init__(self, url: str, model: str, key: str | None = None):
        self.url, self.model = v1(url), model
        self._client = openai_client(self.url, key, max_retries=ATTEMPTS - 1)
        self._reached: asyncio.Task[None] | None = None

    async def ask(self, messages: Sequence[Mapping[str, Any]], **fields: Any) -> str:
        """What the model says. Before the first question, one request finds out whether there is a server.

        Raises:
            NoReply: nothing, in ``ATTEMPTS`` attempts.
            Unreachable: the connection is refused, or the address is unknown.
        """
        self._reached = self._reached or asyncio.create_task(self._reach())
        await self._reached
        try:
            answer = await self._client.chat.completions.create(
                model=self.model,
                messages=list(messages),  # type: ignore[arg-type]
                **fields,
            )
            return answer.choices[0].message.content or ""
        except openai.APIStatusError as error:
            raise NoReply(f"{self.url}: HTTP {error.status_code}: {error.response.text}") from error
        except (openai.OpenAIError, LookupError, AttributeError, TypeError) as error:
            raise NoReply(f"{self.url}: {root_cause(error)}") from error

    async def _reach(self) -> None:
        try:
            await self._client.with_options(max_retries=0).models.list()
        except openai.APIConnectionError as error:
            if type(error.__cause__).__name__ in NO_SERVER:
                raise Unreachable(f"no server at {self.url}: {root_cause(error)}") from error
        except (openai.OpenAIError, AttributeError, TypeError, ValueError):
            pass  # a server that does not list its models

    async def close(self) -> None:
        await self._client.close()


def with_images(messages: Sequence[Mapping[str, Any]], images: Sequence[bytes]) -> list[dict[str, Any]]:
    """Messages as the API takes them, each ``<image>`` the next of the images."""
    left = iter(images)
    return [{"role": message["role"], "content": list(_parts(str(message["content"]), left))} for message in messages]


def _parts(text: str, images: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    for number, piece in enumerate(text.split(PLACEHOLDER)):
        if number and (image := next(images, None)) is not None:
            yield {"type": "image_url", "image_url": {"url": data_url({"bytes": image})}}
        if piece:
            yield {"type": "text", "text": piece}
