"""One session with an MCP server, shared by every caller of the process, made again when it is lost."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import tenacity
from mcp import Client, MCPError, Tool
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, CallToolResult

from verl_hdpo.tools.backoff import Backoff
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.mcp_servers.server import Server

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0
"""Seconds between attempts to connect: at random up to a limit that doubles from one to the other."""

MCP_START_SECONDS = 600.0
"""How long a server may take to start and to answer for the first time."""

MAX_PAGES = 100

PING_SECONDS = 10.0
"""How long a server that has answered with an error is given to show that it is gone."""


class Connection:
    """Used on the shared I/O loop alone.

    A call that was under way when the session broke is not repeated: it may have had its effect.

    Args:
        server: where to connect.
    """

    def __init__(self, server: Server):
        self._server = server
        self._session_now: tuple[asyncio.Future[Client], asyncio.Task[None]] | None = None
        self._problem = ""

    async def tools(self) -> dict[str, Tool]:
        """The server's tools by name; connects once and does not try again.

        Raises:
            ConnectionError: no session, or the server does not answer.
        """
        found: dict[str, Tool] = {}
        try:
            client, owner = await self._session()
            cursor = None
            for _ in range(MAX_PAGES):
                page = await _unless_lost(client.list_tools(cursor=cursor), owner)
                found |= {tool.name: tool for tool in page.tools}
                cursor = page.next_cursor
                if cursor is None:
                    return found
        except (MCPError, OSError) as error:
            raise ConnectionError(f"MCP server {self._server.label}: {error}") from None
        raise ConnectionError(f"MCP server {self._server.label}: its list of tools does not end")

    async def call(self, tool: str, arguments: dict[str, Any], deadline: float) -> CallToolResult:
        """The tool's result, its own errors included (``is_error``).

        An error that a living server answers with is the call's own, whatever its code: a model that could provoke an
        outage by what it asks for would have a way out of the loss. The session stays for the other callers.

        Args:
            tool: a name from ``tools``.
            arguments: as the model wrote them.
            deadline: seconds, connecting included; after an error ``PING_SECONDS`` may be added.

        Raises:
            BadCall: the server answers with an error, and lives.
            ToolUnavailable: no session, the session broke, or no answer in time.
        """
        try:
            answer, client, owner = await asyncio.wait_for(self._call(tool, arguments), deadline)
            if not isinstance(answer, MCPError):
                return answer
            if await self._lives(client, owner):
                raise BadCall(str(answer))
            self._drop(owner)
            problem = _reason(answer)
        except BadCall:
            raise
        except asyncio.TimeoutError:
            problem = f"no answer within {deadline:g} seconds" + (f"; {self._problem}" if self._problem else "")
        except Exception as error:  # whatever went wrong here, the model did not do it
            problem = _reason(error)
        raise ToolUnavailable(f"MCP server {self._server.label}, tool {tool}: {problem}")

    async def _call(
        self, tool: str, arguments: dict[str, Any]
    ) -> tuple[CallToolResult | MCPError, Client, asyncio.Task[None]]:
        """The result, or the error that was answered, and the session that it came by."""
        tries = tenacity.AsyncRetrying(wait=Backoff(FIRST_WAIT, LONGEST_WAIT), reraise=True)
        session: tuple[Client, asyncio.Task[None]] = await tries(self._session)
        client, owner = session
        try:
            return await _unless_lost(client.call_tool(tool, arguments), owner), client, owner
        except MCPError as error:
            return error, client, owner

    async def _lives(self, client: Client, owner: asyncio.Task[None]) -> bool:
        """Whether the session still works: an HTTP server that has forgotten it answers each request with an error.

        A server that knows no ping lives, and so does one that takes its time: it has just answered, and may be busy
        with another's call.
        """
        try:
            await asyncio.wait_for(_unless_lost(client.send_ping(), owner), PING_SECONDS)
        except MCPError as error:
            return error.code != CONNECTION_CLOSED and (error.code != INVALID_REQUEST or self._server.url is None)
        except asyncio.TimeoutError:
            return True
        except OSError:
            return False
        return True

    async def _session(self) -> tuple[Client, asyncio.Task[None]]:
        """The session there is, or a new one; callers at the same time wait for the same one."""
        if self._session_now is None or self._session_now[1].done():
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._session_now = ready, asyncio.ensure_future(self._own(ready))
        client, owner = self._session_now
        return await asyncio.shield(client), owner

    async def _own(self, ready: asyncio.Future[Client]) -> None:
        """Hold a session open in a task of its own, as its cancel scopes ask for."""
        this: Any = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(MCP_START_SECONDS, this.cancel)
        try:
            async with self._server.client() as client:
                timer.cancel()
                self._problem = ""
                ready.set_result(client)
                await asyncio.Event().wait()
        except Exception as error:
            self._problem = _reason(error)
            logger.warning("MCP server %s: %s", self._server.label, self._problem)
        finally:
            timer.cancel()
            if not ready.done():
                ready.set_exception(ConnectionError(self._problem or f"not ready within {MCP_START_SECONDS:g} seconds"))
                ready.exception()  # asked for, so asyncio does not report it when every caller has left

    def _drop(self, owner: asyncio.Task[None]) -> None:
        """End a session that is of no more use; the next call makes another."""
        owner.cancel()
        if self._session_now is not None and self._session_now[1] is owner:
            self._session_now = None


@functools.cache
def connection(server: str) -> Connection:
    """The process's one connection to a server.

    Args:
        server: ``Server.model_dump_json()``.
    """
    return Connection(Server.model_validate_json(server))


async def _unless_lost(work: Any, owner: asyncio.Task[None]) -> Any:
    """Await ``work``, or raise ConnectionError when the session's task ends first."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, owner}, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled():
            return task.result()
        raise ConnectionError("connection lost")
    finally:
        task.cancel()


def _reason(error: BaseException) -> str:
    while inner := getattr(error, "exceptions", None):  # an exception group
        error = inner[0]
    return f"{type(error).__name__}: {error}"
