"""``Endpoint``: one OpenAI-compatible server of the judge, asked by the official client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from verl_hdpo.grading.judge.breaker import Breaker
from verl_hdpo.grading.judge.reply import SCHEMA
from verl_hdpo.runs.openai_client import NO_KEY, openai_client, v1
from verl_hdpo.runs.root_cause import root_cause
from verl_hdpo.settings.group import SettingsError
from verl_hdpo.settings.judge import JudgeSettings

DEFAULT_REQUEST = {"temperature": 0, "max_tokens": 512}
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA}}
BUSY = "judge_busy"
TOLD_CHARS = 300


class Fault(Exception):
    """A request without a reply.

    Attributes:
        cause: ``Outcome.source`` if nobody else replies.
        retry_after: seconds after which the server wants to be asked again, if it said so.
        lasting: the next request would meet it as well.
        of_server: whether it says anything of the server, rather than of what it was asked.
    """

    def __init__(
        self, cause: str, text: str, retry_after: float | None = None, lasting: bool = False, of_server: bool = True
    ) -> None:
        super().__init__(" ".join(text[:TOLD_CHARS].split()))
        self.cause, self.retry_after, self.lasting, self.of_server = cause, retry_after, lasting, of_server


@dataclass(frozen=True)
class Reply:
    """What the judge wrote.

    Attributes:
        content: text, unless the server answers in another shape.
        cut: it was cut off at ``max_tokens``.
        tokens: of prompt and reply, as the server counts.
    """

    content: Any
    cut: bool = False
    tokens: tuple[int, int] = (0, 0)

    def unreadable(self) -> Fault:
        """For a reply in which there is no verdict."""
        hint = "; raise request.max_tokens" if self.cut else ""
        said = str(self.content)[: TOLD_CHARS // 2]
        return Fault("judge_unreadable", f"no verdict in the reply {said!r}{hint}", of_server=False)


class Endpoint:
    """A server with its health and its load.

    Args:
        url: with or without ``/v1``.
        key: sent as bearer token.
        request: fields beside model and messages.
        proxies: use the proxies that the environment names.
    """

    def __init__(
        self, url: str, model: str, key: str = NO_KEY, request: Mapping[str, Any] | None = None, proxies: bool = True
    ) -> None:
        self.url = v1(url)
        self.breaker = Breaker()
        self.in_flight = 0
        self._key = key
        fields = {**DEFAULT_REQUEST, **(request or {})}
        self._body = {"model": model, **{name: value for name, value in fields.items() if value is not None}}
        self._structured = True
        # On aiohttp it takes half the processor time. Retries are the pool's, which asks elsewhere; and its timeouts
        # would look like broken connections, which it takes for timeouts.
        http_client = openai.DefaultAioHttpClient(timeout=None, trust_env=proxies)
        self._client = openai_client(self.url, key, max_retries=0, timeout=None, http_client=http_client)

    def __repr__(self) -> str:
        return f"Endpoint({self.url})"

    async def ask(self, messages: Sequence[Mapping[str, Any]], seconds: float) -> Reply:
        """The judge's reply.

        Raises:
            Fault: none within ``seconds``.
        """
        self.in_flight += 1
        try:
            answer = await asyncio.wait_for(self._post({**self._body, "messages": messages}), seconds)
        except asyncio.TimeoutError:
            raise Fault("judge_timeout", f"no reply within {seconds:.3g} s") from None
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except openai.APIConnectionError as error:
            raise Fault("judge_unreachable", root_cause(error)) from None
        except Exception as error:  # of the client's parser, or of its transport that it does not know itself
            raise Fault("judge_unreadable", f"{type(error).__name__}: {error}") from None
        finally:
            self.in_flight -= 1
        return _reply(answer)

    async def close(self) -> None:
        await self._client.close()

    async def _post(self, body: dict[str, Any]) -> Any:
        # chat.completions.create would check each request and reply against its types: a millisecond apiece.
        if self._structured:
            try:
                structured = {**body, "response_format": RESPONSE_FORMAT}
                return await self._client.post("/chat/completions", body=structured, cast_to=object)
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                pass  # perhaps for the response format, which not every server has
        answer = await self._client.post("/chat/completions", body=body, cast_to=object)
        self._structured = False
        return answer

    def _refusal(self, error: openai.APIStatusError) -> Fault:
        status, text = error.status_code, f"HTTP {error.status_code}: {error.response.text}"
        if status == 429 or (status == 503 and "retry-after" in error.response.headers):
            return Fault(BUSY, text, retry_after=_seconds(error.response.headers.get("retry-after")), of_server=False)
        if status in (401, 402, 403, 404, 405):
            return Fault("judge_refused", text, lasting=True)
        if status < 500 and status not in (408, 409, 425):
            return Fault("judge_refused", text, of_server=False)
        return Fault("judge_failed", text)

    def told(self, fault: Fault) -> str:
        """For logs: without the key, which some servers repeat."""
        return str(fault).replace(self._key, "***")


def api_key(settings: JudgeSettings) -> str:
    """The judge's key, from the environment or a file; ``NO_KEY`` if neither is named.

    Raises:
        SettingsError: it is not there.
    """
    where = settings.api_key_file or f"the environment variable {settings.api_key_env}"
    try:
        if settings.api_key_file:
            key = settings.api_key_file.read_text().strip()
        elif settings.api_key_env:
            key = os.environ.get(settings.api_key_env, "").strip()
        else:
            return NO_KEY
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the file with the judge's key cannot be read: {error}") from None
    if not key or not key.isascii() or not key.isprintable():
        raise SettingsError(f"{where} holds no key for the judge; it must be there on every node")
    return key


def _reply(answer: Any) -> Reply:
    try:
        choice = answer["choices"][0]
        content, cut = choice["message"]["content"], choice.get("finish_reason") == "length"
    except (LookupError, TypeError, AttributeError):
        return Reply(answer)
    usage = answer.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    prompt, completion = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return Reply(content, cut, (_count(prompt), _count(completion)))


def _count(number: Any) -> int:
    return number if isinstance(number, int) else 0


def _seconds(retry_after: str | None) -> float | None:
    """Of a ``Retry-After`` header, a number or a date."""
    try:
        return max(Retry().parse_retry_after(retry_after), 0.0) if retry_after else None
    except (InvalidHeader, ValueError, OverflowError):
        return None
