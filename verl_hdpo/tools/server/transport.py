"""One request of a client to a tool server, tried again while the server is busy or cannot be reached."""

from __future__ import annotations

import asyncio
import ssl

import httpx
import tenacity

from verl_hdpo.tools.backoff import Backoff, error_of, retry_after
from verl_hdpo.tools.failures import ToolUnavailable

CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
"""Seconds between tries: at random up to a limit that doubles from one to the other.

So a server that comes back after some seconds is not asked by all at once: of the calls that wait for it about four in
ten ask within the first second, and the last after five.
"""


class SessionLost(ToolUnavailable):
    """The server does not know the session: it was closed there, or the server was restarted."""


class Unreachable(Exception):
    """No answer, or 5xx: the request may or may not have arrived. A proxy's 503 is one of these."""


class Busy(Exception):
    """The server has no room; ``retry_after`` seconds it may have, if it named any."""

    def __init__(self, text: str, retry_after: float | None):
        super().__init__(text)
        self.retry_after = retry_after


class Transport:
    """Requests with the token; used on the shared I/O loop.

    Args:
        token: of the servers.
        reconnect_seconds: how long a server may give no answer.
        network: carries the requests, in place of the real one.
    """

    def __init__(self, token: str, reconnect_seconds: float, network: httpx.AsyncBaseTransport | None = None):
        self._token, self._reconnect_seconds, self._network = token, reconnect_seconds, network
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._certificates: ssl.SSLContext | None = None

    async def request(self, method: str, url: str, content: bytes | None = None) -> httpx.Response:
        """The response, 200 or 202; a request has the same effect however often it arrives.

        Raises:
            SessionLost: 404.
            ToolUnavailable: the server gives no answer for ``reconnect_seconds``, or refuses the request.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()

        def is_over(state: tenacity.RetryCallState) -> bool:
            is_busy = isinstance(error_of(state), Busy)  # then the call's own deadline ends it
            return not is_busy and loop.time() - began + state.upcoming_sleep > self._reconnect_seconds

        tries = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type((Unreachable, Busy)),
            wait=Backoff(FIRST_WAIT, LONGEST_WAIT),
            stop=is_over,
            reraise=True,
        )
        try:
            return await tries(self.once, method, url, content)
        except Unreachable as error:
            raise ToolUnavailable(f"the tool server gives no answer: {error}") from error

    async def once(self, method: str, url: str, content: bytes | None = None) -> httpx.Response:
        """One try of ``request``.

        Raises:
            Unreachable, Busy: it may be tried again.
            SessionLost, ToolUnavailable: it may not.
        """
        try:
            response = await self._client_of(url).request(method, url, content=content)
        except httpx.InvalidURL as error:
            raise ToolUnavailable(f"{url} is no URL: {error}") from None
        except httpx.UnsupportedProtocol as error:
            raise ToolUnavailable(f"{url}: {error}") from None
        except httpx.HTTPError as error:
            raise Unreachable(f"{_origin(url)}: {type(error).__name__}: {error}") from None
        status = response.status_code
        if response.is_success:
            return response
        told = " ".join(response.text[:300].split())
        said = f"{_origin(url)} answered {status}: {told}"
        if status == 404:
            raise SessionLost(f"the session on the tool server is lost: {said}")
        pause = response.headers.get("retry-after")
        if status == 429 or (status == 503 and pause is not None):  # a tool server always says when to ask again
            raise Busy(said, retry_after(pause))
        if status >= 500:
            raise Unreachable(said)
        raise ToolUnavailable(f"the tool server refuses the request: {said}")

    def _client_of(self, url: str) -> httpx.AsyncClient:
        """One for each server: of thousands of requests in one pool, each looks at all others' connections."""
        server = "/".join(url.split("/", 3)[:3]) if self._network is None else ""
        if server not in self._clients:
            if self._certificates is None:
                self._certificates = httpx.create_ssl_context()  # takes longest, and is the same for all
            self._clients[server] = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
                verify=self._certificates,
                transport=self._network,
            )
        return self._clients[server]


def _origin(url: str) -> str:
    return url.partition("/sessions/")[0]
