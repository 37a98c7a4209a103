"""One HTTP request to a search service: JSON back, or an error that says whether to try again.

No message holds the URL's query: some services take their key there.
"""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

import httpx

from verl_hdpo.tools.backoff import retry_after
from verl_hdpo.tools.search.provider import ProviderError, TransientError

CONNECT_SECONDS, READ_SECONDS = 5.0, 20.0
MAX_BYTES = 8 << 20


@functools.lru_cache(maxsize=1)
def _client(loop: asyncio.AbstractEventLoop) -> httpx.AsyncClient:
    """The connection pool of the shared I/O loop."""
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None)
    return httpx.AsyncClient(timeout=timeout, limits=httpx.Limits(max_connections=64))


async def request_json(method: str, url: str, **request: Any) -> Any:
    """The JSON body of a successful response.

    Args:
        method: ``GET`` or ``POST``.
        url: without a query; pass ``params``.
        request: further arguments of ``httpx.AsyncClient.stream``.

    Raises:
        TransientError: no connection, too slow, 429, 5xx, or a body that is not valid JSON.
        ProviderError: any other status: the key or the request is refused.
    """
    try:
        async with _client(asyncio.get_running_loop()).stream(method, url, **request) as response:
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise TransientError(f"{url} sent more than {MAX_BYTES} bytes")
    except httpx.InvalidURL as error:
        raise ProviderError(f"{url} is not a URL: {error}") from None
    except httpx.HTTPError as error:
        raise TransientError(f"{url}: {type(error).__name__}: {error}") from None
    status = response.status_code
    if status == 429 or status >= 500:
        raise TransientError(f"{url} answered {status}", retry_after(response.headers.get("retry-after")))
    if not response.is_success:
        raise ProviderError(f"{url} answered {status}: {_excerpt(body)}")
    try:
        # A byte that is not a character must not keep the rest of an answer from the model, now and on every later try.
        return json.loads(body.decode(json.detect_encoding(body), "replace"))
    except (ValueError, RecursionError):
        raise TransientError(f"{url} sent what is not valid JSON: {_excerpt(body)}") from None


def _excerpt(body: bytes) -> str:
    return " ".join(body[:200].decode("utf-8", "replace").split())
