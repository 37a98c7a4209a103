"""uvicorn's HTTP protocol with a limit on the time, and the number, of requests whose headers never end."""

from __future__ import annotations

import asyncio
import resource
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""How long a client may take to send a request's headers, from the connection or from their first byte."""


def max_half_open() -> int:
    """How many connections may be without a whole request: a quarter of this process's descriptors."""
    return max(8, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)


class TimedProtocol(H11Protocol):
    """Closes a connection whose headers do not arrive in time; when there are too many, the oldest first."""

    _half_open: ClassVar[dict[TimedProtocol, asyncio.TimerHandle]] = {}

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # IDLE: of the next request there is no whole header yet (h11's states of the client).
        if self.conn.their_state is not h11.IDLE:
            self._headers_came()
        elif self not in self._half_open and not self.transport.is_closing():
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        if len(self._half_open) >= max_half_open():
            next(iter(self._half_open))._give_up()
        self._half_open[self] = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _headers_came(self) -> None:
        if timer := self._half_open.pop(self, None):
            timer.cancel()

    def _give_up(self) -> None:
        self._headers_came()
        self.transport.abort()
