"""uvicorn's HTTP protocol, with limits for strangers: connections without a request that carries the token.

Headers that never end, a body that trickles after a refusal, an answer that nobody reads: whatever a stranger does, its
connection ends soon, and strangers together never take the descriptors that the others need.
"""

from __future__ import annotations

import asyncio
import functools
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from verl_hdpo.tools.server.token import is_shown

STRANGER_SECONDS = 10.0
"""How long a connection stays open before, and between, requests that carry the token."""


def max_strangers() -> int:
    """How many there may be: a quarter of this process's descriptors."""
    return max(8, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)


def guards(token: str) -> dict[str, Any]:
    """Settings of uvicorn for one server; without WebSockets, which would get round the protocol."""
    return {"http": functools.partial(_GuardedProtocol, token, {}), "ws": "none"}


class _GuardedProtocol(H11Protocol):
    """Closes a stranger's connection in time; when there are too many, the oldest first."""

    def __init__(self, token: str, strangers: dict[_GuardedProtocol, asyncio.TimerHandle], **uvicorn: Any):
        super().__init__(**uvicorn)
        self._token, self._strangers = token, strangers

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._is_stranger()

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete and is_shown(self._token, self.headers):
            self._is_no_stranger()

    def on_response_complete(self) -> None:
        self._is_stranger()
        super().on_response_complete()  # may begin with the next request

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_no_stranger()
        super().connection_lost(exc)

    def _is_stranger(self) -> None:
        if self in self._strangers or self.transport.is_closing():
            return
        if len(self._strangers) >= max_strangers():
            next(iter(self._strangers))._give_up()
        self._strangers[self] = self.loop.call_later(STRANGER_SECONDS, self._give_up)

    def _is_no_stranger(self) -> None:
        if timer := self._strangers.pop(self, None):
            timer.cancel()

    def _give_up(self) -> None:
        self._is_no_stranger()
        self.transport.abort()
