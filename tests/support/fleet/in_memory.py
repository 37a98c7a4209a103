"""Tool servers without sockets: the real server's application, reached through memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import httpx

from verl_hdpo.tools.server.app import make_app
from verl_hdpo.tools.server.sessions import ServedTool
from verl_hdpo.tools.server.settings import ServerSettings

LATENCY_SECONDS = 0.001


class _Server:
    """One life of a server."""

    def __init__(self, tools: Sequence[ServedTool], settings: ServerSettings, token: str):
        self.app = make_app(tools, settings, token, asyncio.get_running_loop().time)
        self.http = httpx.ASGITransport(self.app)
        self.requests: set[asyncio.Task[httpx.Response]] = set()
        self.is_dead = False
        self._living = asyncio.ensure_future(self._live())

    async def _live(self) -> None:
        async with self.app.router.lifespan_context(self.app):
            await asyncio.Event().wait()

    async def die(self) -> None:
        self.is_dead = True
        for task in (self._living, *self.requests):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._living


class InMemoryFleet(httpx.AsyncBaseTransport):
    """What clients have in place of the network.

    Args:
        tools: makes the tools of a server, given its URL.
        settings: of every server.
        token: of every server.

    Attributes:
        arrivals: (time, URL of the server, method, path) of every request, those that met no server too.
    """

    def __init__(self, tools: Callable[[str], Sequence[ServedTool]], settings: ServerSettings, token: str):
        self._tools, self._settings, self._token = tools, settings, token
        self._servers: dict[str, _Server] = {}
        self.arrivals: list[tuple[float, str, str, str]] = []

    def start(self, url: str) -> None:
        """A server without any session."""
        self._servers[url] = _Server(self._tools(url), self._settings, self._token)

    async def kill(self, url: str) -> None:
        """Its sessions and running calls are gone; clients see their connections break."""
        await self._servers.pop(url).die()

    async def sessions(self) -> dict[str, int]:
        """Open sessions of each server, as it counts them."""
        found = {}
        async with httpx.AsyncClient(transport=self, headers={"Authorization": f"Bearer {self._token}"}) as client:
            for url in self._servers:
                lines = (await client.get(f"{url}/metrics")).text.splitlines()
                (line,) = [line for line in lines if line.startswith("verl_hdpo_tool_sessions ")]
                found[url] = int(float(line.split()[1]))
        return found

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = f"{request.url.scheme}://{request.url.netloc.decode()}"
        self.arrivals.append((asyncio.get_running_loop().time(), url, request.method, request.url.path))
        await asyncio.sleep(LATENCY_SECONDS)
        server = self._servers.get(url)
        if server is None:
            raise httpx.ConnectError("connection refused", request=request)
        work = asyncio.ensure_future(server.http.handle_async_request(request))
        server.requests.add(work)
        work.add_done_callback(server.requests.discard)
        try:
            return await asyncio.shield(work)  # a server notices nothing of a client that hangs up
        except asyncio.CancelledError:
            if server.is_dead and work.cancelled():
                raise httpx.RemoteProtocolError("the connection broke", request=request) from None
            raise
