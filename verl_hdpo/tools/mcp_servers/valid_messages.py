"""What MCP servers send, made valid before it is parsed.

The SDK takes strict UTF-8 and strict JSON alone. Half of a surrogate pair in a search result would leave a call without
an answer until its deadline, and a byte that is not UTF-8 ends the reading of all that a server on stdio sends.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import wrapt
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, JSONRPCResponse, jsonrpc_message_adapter
from pydantic import ValidationError

from verl_hdpo.tools.valid_text import valid_json


@asynccontextmanager
async def with_valid_messages(transport: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
    """A transport of lines of JSON, such as stdio. A line that it could not parse is read once more, made valid."""
    async with transport as (read, write):
        yield ValidMessages(read), write


class ValidMessages(wrapt.ObjectProxy):
    """The stream of what a server sends, in which the transport puts an exception for what it cannot parse."""

    async def receive(self) -> Any:
        return _repaired(await self.__wrapped__.receive())

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        return _repaired(await self.__wrapped__.__anext__())

    async def __aenter__(self) -> Any:
        await self.__wrapped__.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self.__wrapped__.__aexit__(*error)


def _repaired(item: Any) -> Any:
    match item.errors()[0]["input"] if isinstance(item, ValidationError) else None:
        case str(line):
            with contextlib.suppress(ValidationError):
                return SessionMessage(jsonrpc_message_adapter.validate_json(valid_json(line), by_name=False))
        case {"id": int() | str() as asked, "error": error}:  # such as one whose code is a text
            found = ErrorData(code=INTERNAL_ERROR, message=json.dumps(error))
            return SessionMessage(JSONRPCError(jsonrpc="2.0", id=asked, error=found))
        case {"id": int() | str() as asked, "result": _}:  # which is refused in its turn, and at once
            return SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=asked, result={}))
    return item


async def make_body_valid(response: httpx2.Response) -> None:
    """The same for the body of an HTTP response; for the ``event_hooks`` of a client that takes no compressed one."""
    response.stream = _ValidBody(response.stream)


class _ValidBody(httpx2.AsyncByteStream):
    def __init__(self, stream: Any):
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held: list[bytes] = []  # of a line: neither a character nor an escape goes on in the next one
        async for chunk in self._stream:
            end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
            held.append(chunk[:end] if end else chunk)
            if end:
                yield _valid(held)
                held = [chunk[end:]]
        yield _valid(held)

    async def aclose(self) -> None:
        await self._stream.aclose()


def _valid(chunks: list[bytes]) -> bytes:
    return valid_json(b"".join(chunks).decode("utf-8", "replace")).encode()
