"""``Endpoint``: an OpenAI-compatible server, asked on tokens through ``/v1/completions``.

The chat template and the tool parser stay on this side, as in training: a prompt is sent as token ids, and token ids
come back where the server can send them (``return_token_ids``, as vLLM does), else text. OpenAI's own client does the
asking: what to ask again after which wait, a server's ``Retry-After``, and keys that stay out of logs are its business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai

from verl_hdpo.runs.openai_client import openai_client, v1

ATTEMPTS = 6
ANSWER_SECONDS = 3600.0
"""A hang: a busy server may take long for one answer, and gets no faster by being asked again."""
EXTRAS = {
    "return_token_ids": True,
    "skip_special_tokens": False,
    # Sampling as it is without these; unsaid, vLLM takes them from the checkpoint's generation_config.json.
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
}
"""Fields beyond OpenAI's; a server that refuses them is asked without."""
WITH_IMAGES = "/inference/v1/generate"
"""vLLM's way for tokens and images in one prompt; ``/v1/completions`` takes no images, and chats take no tokens."""

FAILURES = (openai.OpenAIError, AttributeError, IndexError, TypeError, ValueError)
"""What asking raises: the client's errors, and those of reading an answer of another kind."""


class EndpointError(RuntimeError):
    """A server that cannot be reached or refuses what it is asked; the message says what it answered."""


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
    """

    def __init__(self, url: str, model: str | None = None, api_key: str | None = None):
        self.url = v1(url)
        self.model = model
        self._takes_extras = True
        timeout = openai.Timeout(ANSWER_SECONDS, connect=60.0)
        self._client = openai_client(self.url, api_key, timeout=timeout, max_retries=ATTEMPTS - 1)

    async def connect(self) -> str:
        """Find the server and its model; returns the model's name.

        Raises:
            EndpointError: no server, none of that kind, or no such model.
        """
        try:
            found = await self._client.with_options(max_retries=0).models.list()
            names = [_text(model.id) for model in found.data]
        except openai.APIConnectionError as error:
            raise EndpointError(
                f"no server at {self.url} ({_reason(error)}); is it started, and is the address right?"
            ) from error
        except (openai.OpenAIError, AttributeError, TypeError, ValueError) as error:
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
        takes_extras, request = self._takes_extras, {**EXTRAS, **settings}
        if not takes_extras:
            request = {key: value for key, value in request.items() if (key, value) not in EXTRAS.items()}
        try:
            answer = await self._client.completions.create(
                model=self.model or "", prompt=list(prompt_ids), extra_body=request
            )
            choice = answer.choices[0]
            return Completion(_text(choice.text), getattr(choice, "token_ids", None), choice.finish_reason != "length")
        except FAILURES as error:
            if not takes_extras or not any(name in refusal(error) for name in EXTRAS):
                raise self._failed(error, "completions") from error
            self._takes_extras = False
            return await self.complete(prompt_ids, settings)

    async def complete_with_images(
        self, prompt_ids: Sequence[int], images: Sequence[str], settings: Mapping[str, Any]
    ) -> Completion:
        """Continue ``prompt_ids``, in which one token stands for each image.

        Args:
            images: as ``data:`` addresses.
            settings: vLLM's sampling parameters.

        Raises:
            EndpointError: as :meth:`complete`; a server that has no ``WITH_IMAGES``.
        """
        body = {
            "model": self.model,
            "token_ids": list(prompt_ids),
            "content_parts": [{"type": "image_url", "url": image} for image in images],
            "sampling_params": dict(settings),
        }
        url = self.url.removesuffix("/v1") + WITH_IMAGES
        try:
            answer: Any = await self._client.post(url, body=body, cast_to=object)
            choice = answer["choices"][0]
            return Completion("", [int(token) for token in choice["token_ids"]], choice["finish_reason"] != "length")
        except openai.NotFoundError as error:
            raise EndpointError(
                f"{url} does not exist: prompts with images go to a vLLM that takes tokens and images together, 0.28 "
                "or later; start one, or leave --endpoint out"
            ) from error
        except (*FAILURES, KeyError) as error:
            raise self._failed(error, f"..{WITH_IMAGES}") from error

    def _failed(self, error: Exception, path: str) -> EndpointError:
        """``error``, one of ``FAILURES``, in words."""
        match error:
            case openai.APIStatusError(status_code=status):
                again = f", {ATTEMPTS} times" if status >= 500 or status in (408, 409, 429) else ""
                return EndpointError(f"{self.url}/{path} answered HTTP {status}{again}: {error.response.text[:500]}")
            case openai.APIConnectionError():
                return EndpointError(f"{self.url} gave no answer in {ATTEMPTS} attempts: {_reason(error)}")
        return EndpointError(f"{self.url}/{path} answered no completion: {error}")

    async def close(self) -> None:
        await self._client.close()


def refusal(error: Exception) -> str:
    """What a server said that refuses a field of the request; empty if ``error`` is no such refusal."""
    if isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError):
        return str(error.response.text)
    return ""


def _text(found: Any) -> str:
    """``found``, which the client takes as the server sends it."""
    if not isinstance(found, str):
        raise TypeError(f"{found} where a text should be")
    return found


def _reason(error: openai.APIConnectionError) -> str:
    """What the client wraps."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}"
