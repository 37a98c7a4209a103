"""``ChatEndpoint``: a server asked through ``/v1/chat/completions``; template and tool parser are the server's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from openai.types.chat import ChatCompletionMessage

from verl_hdpo.evaluation.endpoint import FAILURES, Endpoint, refusal

RENAMED = {"max_tokens": "max_completion_tokens"}
"""Fields that some servers take under another name only."""
OPTIONAL = ("seed", "temperature", "top_p")
"""Fields that some servers refuse; they are asked without, and :attr:`ChatEndpoint.refused` says so."""


class ChatEndpoint(Endpoint):
    """A model at a server of chats.

    Attributes:
        refused: fields that the server does not take.
    """

    def __init__(self, url: str, model: str | None = None, api_key: str | None = None):
        super().__init__(url, model, api_key)
        if urlsplit(url).path.strip("/") not in ("", "v1"):  # a gateway's own path
            self.url = url.rstrip("/")
            self._client = self._client.with_options(base_url=self.url)
        self.refused: set[str] = set()

    async def chat(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
    ) -> tuple[ChatCompletionMessage, bool]:
        """The answer, and whether it came to an end by itself.

        Args:
            settings: fields of the request: ``max_tokens``, ``temperature``, ``seed``, ...

        Raises:
            EndpointError: the server refused, or gave no answer.
        """
        known = set(self.refused)
        request = {RENAMED.get(k, k) if k in known else k: v for k, v in settings.items()}
        request = {key: value for key, value in request.items() if key not in known}
        if tools:
            request["tools"] = list(tools)
        try:
            answer = await self._client.chat.completions.create(
                model=self.model or "",
                messages=cast(Any, list(messages)),
                extra_body=request,
            )
            choice = answer.choices[0]
            if not isinstance(choice.message.content, str | None):
                raise TypeError(f"{choice.message.content} where a text should be")
            return choice.message, choice.finish_reason != "length"
        except FAILURES as error:
            said = refusal(error)
            if not (new := {name for name in (*RENAMED, *OPTIONAL) if name in said and name in request}):
                raise self._failed(error, "chat/completions") from error
            self.refused |= new
            return await self.chat(messages, tools, settings)
