"""The client of tool servers: each trajectory keeps a session on one of them, from its first call to its end."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import logging
import uuid
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.io_loop import in_thread
from verl_hdpo.tools.server.messages import Call, CallResult, SentImage
from verl_hdpo.tools.server.placement import Placement
from verl_hdpo.tools.server.settings import ClientSettings
from verl_hdpo.tools.server.token import token_from_environment, token_from_file
from verl_hdpo.tools.server.transport import Busy, SessionLost, Transport, Unreachable
from verl_hdpo.tools.valid_text import valid_texts

logger = logging.getLogger(__name__)

ImageSource = Callable[[], "Image.Image | bytes"]
"""Makes an image of the conversation, or the bytes of its file; called in a thread."""
Ask = Callable[[str, str], Awaitable[httpx.Response]]
"""Sends a request: method, URL."""


@dataclass(eq=False)
class _Trajectory:
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    server: str | None = None
    images_sent: int = 0
    received: list[str] = field(default_factory=list)
    lost: str | None = None
    is_over: bool = False

    def url(self, call_id: str | None = None) -> str:
        return f"{self.server}/sessions/{self.id}" + (f"/calls/{call_id}" if call_id else "")


class ToolClient:
    """All sessions of this process on some servers; made, and every method called, on the shared I/O loop.

    Args:
        settings: where the servers are.
        network: carries the requests, in place of the real one.

    Raises:
        ToolConfigError: there is no token.
    """

    def __init__(self, settings: ClientSettings, network: httpx.AsyncBaseTransport | None = None):
        self._settings = settings
        self._servers = [url.rstrip("/") for url in settings.urls]
        self._placement = Placement(self._servers)
        file, name = settings.token_file, settings.token_env
        token = token_from_file(file) if file is not None else token_from_environment(name)
        self._transport = Transport(token, settings.reconnect_seconds, network)
        self._loop = asyncio.get_running_loop()
        self._trajectories: weakref.WeakKeyDictionary[object, _Trajectory] = weakref.WeakKeyDictionary()
        self._open: dict[str, _Trajectory] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._in_background: set[asyncio.Task[None]] = set()

    async def tools(self) -> list[dict[str, Any]]:
        """What the servers offer: ``name``, ``schema`` and ``needs`` of each tool, from the first that answers.

        Raises:
            ConnectionError: none does.
        """
        reasons = []
        for server in self._servers:
            try:
                return (await self._transport.once("GET", f"{server}/tools")).json()["tools"]
            except (Unreachable, Busy, ToolUnavailable) as error:
                reasons.append(str(error))
        raise ConnectionError(f"no tool server can be used: {'; '.join(reasons)}")

    async def call(
        self,
        trajectory: object,
        tool: str,
        arguments: Any,
        create_kwargs: Mapping[str, Any],
        images: Sequence[ImageSource] = (),
    ) -> CallResult:
        """Run a tool; the calls of a trajectory run one after the other.

        Args:
            trajectory: any hashable object that lives as long as the trajectory; its end closes the session.
            tool: its name.
            arguments: what the model wrote.
            create_kwargs: those that the tool needs.
            images: all images of the conversation so far, if the tool needs them; each is sent once.

        Raises:
            ToolUnavailable: no outcome, or one that is not the model's doing.
        """
        held = self._trajectories.get(trajectory)
        if held is None:
            held = self._trajectories[trajectory] = _Trajectory()
            weakref.finalize(trajectory, self._end_from_any_thread, held).atexit = False
        async with held.turn:
            if held.lost is not None:
                raise ToolUnavailable(held.lost)
            call_id, seconds = uuid.uuid4().hex, self._settings.deadline
            try:
                work = self._call(held, call_id, tool, arguments, create_kwargs, images)
                outcome = await asyncio.wait_for(work, seconds)
            except SessionLost as error:
                held.lost = str(error)
                self._forget(held)
                raise
            except asyncio.TimeoutError:
                self._cancel(held, call_id)
                raise ToolUnavailable(f"the tool server did not finish the call within {seconds:g} seconds") from None
            except BaseException:
                self._cancel(held, call_id)
                raise
        if outcome.status == "unavailable":
            raise ToolUnavailable(outcome.text or "the tool is unavailable")
        return outcome

    async def _call(
        self,
        held: _Trajectory,
        call_id: str,
        tool: str,
        arguments: Any,
        create_kwargs: Mapping[str, Any],
        images: Sequence[ImageSource],
    ) -> CallResult:
        first = held.images_sent
        sent = await asyncio.gather(*(in_thread(_sent_image, image) for image in images[first:]))
        plain_kwargs = valid_texts(json.loads(json.dumps(dict(create_kwargs), default=_plain)))
        call = Call(
            tool=tool,
            arguments=json.dumps(arguments),
            create_kwargs=plain_kwargs,
            images_before=first,
            images=sent,
            received=held.received,
        )
        content = call.model_dump_json().encode()
        if held.server is None:
            await self._open_session(held)
        response = await self._transport.request("POST", held.url(call_id), content)
        while response.status_code == 202:
            response = await self._transport.request("GET", held.url(call_id))
        held.images_sent = max(first, len(images))
        held.received = [call_id]
        try:
            return CallResult.model_validate_json(response.content)
        except ValueError as error:
            raise ToolUnavailable(f"the tool server sent no outcome: {type(error).__name__}") from None

    async def _open_session(self, held: _Trajectory) -> None:
        """On the first server that takes it; nothing has run yet, so any will do."""
        reasons = []
        *others, last = self._placement.order(held.id)
        for server in others:
            try:
                response = await self._ask_for_session(self._transport.once, server, held)
                break
            except (Unreachable, Busy, ToolUnavailable) as error:
                reasons.append(str(error))
        else:
            server = last
            response = await self._ask_for_session(self._transport.request, server, held)
        if reasons:
            logger.warning("a trajectory goes to another tool server: %s", "; ".join(reasons))
        held.server = server
        self._open[held.id] = held
        if held.is_over:
            self._close(held)
            return
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.ensure_future(self._renew(response.json()["lease_seconds"] / 4))

    async def _ask_for_session(self, ask: Ask, server: str, held: _Trajectory) -> httpx.Response:
        self._placement.add(server)  # now, so that those who ask meanwhile see it
        try:
            return await ask("PUT", f"{server}/sessions/{held.id}")
        except BaseException:
            self._placement.remove(server)
            raise

    async def _renew(self, seconds: float) -> None:
        """Tell the servers now and then which sessions are still wanted."""
        while self._open:
            await asyncio.sleep(seconds)
            for server in {held.server for held in self._open.values()}:
                ids = [held.id for held in self._open.values() if held.server == server]
                self._send("POST", f"{server}/renew", json.dumps({"sessions": ids}).encode())

    def _cancel(self, held: _Trajectory, call_id: str) -> None:
        if held.server is not None:
            self._send("DELETE", held.url(call_id))

    def _forget(self, held: _Trajectory) -> None:
        if self._open.pop(held.id, None) is not None and held.server is not None:
            self._placement.remove(held.server)

    def _close(self, held: _Trajectory) -> None:
        self._forget(held)
        if held.server is not None:
            self._send("DELETE", held.url())

    def _send(self, method: str, url: str, content: bytes | None = None) -> None:
        """In the background, best effort: if it is lost, the lease expires."""

        async def send() -> None:
            try:
                await asyncio.wait_for(self._transport.request(method, url, content), self._settings.deadline)
            except (asyncio.TimeoutError, Busy, ToolUnavailable) as error:
                logger.debug("%s %s: %r", method, url, error)

        task = asyncio.ensure_future(send())
        self._in_background.add(task)
        task.add_done_callback(self._in_background.discard)

    def _end_from_any_thread(self, held: _Trajectory) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, held)

    def _end(self, held: _Trajectory) -> None:
        held.is_over = True
        self._close(held)


@functools.cache
def tool_client(settings_json: str) -> ToolClient:
    """The process's one client for these settings."""
    return ToolClient(ClientSettings.model_validate_json(settings_json))


def _sent_image(source: ImageSource) -> SentImage:
    try:
        return SentImage.of(source())
    except (OSError, ValueError) as error:
        raise ToolUnavailable(f"an image of the conversation cannot be read: {error}") from error


def _plain(value: Any) -> Any:
    """What a parquet's row may hold besides JSON."""
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise ToolUnavailable(f"create_kwargs hold {type(value).__name__}, which cannot be sent to a tool server")
