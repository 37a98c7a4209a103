"""The tool server's HTTP side.

    GET    /health                          without token
    GET    /metrics                         Prometheus
    GET    /tools                           schemas, and what each tool needs
    PUT    /sessions/{session}              open; again: no effect
    DELETE /sessions/{session}              the trajectory is over
    POST   /renew                           {"sessions": [...]}: these are still wanted
    POST   /sessions/{session}/calls/{call} a call; again with the same id: the first one's answer
    GET    /sessions/{session}/calls/{call} the answer to a call that takes long
    DELETE /sessions/{session}/calls/{call} cancel it

A call answers 200 with its outcome, or 202 while it runs. 404: no such session; 410: no such call; 413, 422: no request
that is understood; 429, 503: no room, with ``Retry-After``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from verl_hdpo.tools.server.messages import Call
from verl_hdpo.tools.server.metrics import Metrics
from verl_hdpo.tools.server.sessions import Refused, ServedTool, Sessions
from verl_hdpo.tools.server.settings import ServerSettings
from verl_hdpo.tools.server.token import is_shown

BODY_SECONDS = 60.0
"""How long a request may take to arrive."""

Message = TypeVar("Message", bound=BaseModel)


class _Renewal(BaseModel):
    sessions: list[str]


class RequireToken:
    """Answers 401 to every request without the token, but for ``/health``, before anything else of it is read."""

    def __init__(self, app: ASGIApp, token: str):
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] == "/health" or is_shown(self._token, scope["headers"]):
            await self._app(scope, receive, send)
        else:
            refusal = Response("the token is missing, wrong, or given twice", 401, {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)


def make_app(
    tools: Sequence[ServedTool],
    settings: ServerSettings,
    token: str,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The server of these tools.

    Args:
        tools: what it serves.
        settings: its limits.
        token: without which it does nothing.
        clock: seconds, by which leases end.
    """
    metrics = Metrics()
    sessions = Sessions(tools, settings, metrics, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.ensure_future(_sweep(sessions, min(settings.lease_seconds, settings.idle_seconds) / 4))
        yield
        sweeping.cancel()
        sessions.close_all()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(RequireToken, token=token)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        metrics.refused.labels(str(error.status)).inc()
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return JSONResponse({"error": str(error)}, error.status, headers)

    for router in (_of_server(tools, metrics), _of_sessions(sessions, settings), _of_calls(sessions, settings)):
        app.include_router(router)
    return app


def _of_server(tools: Sequence[ServedTool], metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @router.get("/metrics")
    async def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/tools")
    async def list_tools() -> dict:
        return {"tools": [{"name": tool.name, "schema": tool.schema, "needs": tool.needs} for tool in tools]}

    return router


def _of_sessions(sessions: Sessions, settings: ServerSettings) -> APIRouter:
    router = APIRouter()

    @router.put("/sessions/{session}")
    async def open_session(session: str) -> dict:
        sessions.open(session)
        return {"lease_seconds": settings.lease_seconds}

    @router.delete("/sessions/{session}", status_code=204)
    async def close_session(session: str) -> None:
        sessions.close(session, "finished")

    @router.post("/renew", status_code=204)
    async def renew(request: Request) -> None:
        sessions.renew((await _read(request, _Renewal, settings.max_request_mb)).sessions)

    return router


def _of_calls(sessions: Sessions, settings: ServerSettings) -> APIRouter:
    router = APIRouter()

    @router.post("/sessions/{session}/calls/{call}")
    async def call_tool(session: str, call: str, request: Request) -> Response:
        return await answer(sessions.call(session, call, await _read(request, Call, settings.max_request_mb)))

    @router.get("/sessions/{session}/calls/{call}")
    async def find_call(session: str, call: str) -> Response:
        return await answer(sessions.find(session, call))

    @router.delete("/sessions/{session}/calls/{call}", status_code=204)
    async def cancel_call(session: str, call: str) -> None:
        sessions.cancel(session, call)

    async def answer(task: asyncio.Task[bytes]) -> Response:
        # A client that hangs up cancels nothing: it asks again, or cancels by name.
        await asyncio.wait({task}, timeout=settings.poll_seconds)
        if not task.done():
            return Response(status_code=202)
        if task.cancelled():
            raise Refused(410, "the call was cancelled")
        return Response(task.result(), media_type="application/json")

    return router


async def _sweep(sessions: Sessions, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        sessions.sweep()


async def _body(request: Request, max_mb: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_mb << 20:
            raise Refused(413, f"the request has more than {max_mb} MiB")
    return bytes(body)


async def _read(request: Request, message: type[Message], max_mb: int) -> Message:
    try:
        body = await asyncio.wait_for(_body(request, max_mb), BODY_SECONDS)
    except asyncio.TimeoutError:
        raise Refused(408, f"the request did not arrive within {BODY_SECONDS:g} seconds") from None
    try:
        return message.model_validate_json(body)
    except ValidationError as error:
        # Not the values: they may be anything.
        where = [".".join(map(str, problem["loc"])) + ": " + problem["msg"] for problem in error.errors()]
        raise Refused(422, f"no {message.__name__.strip('_').lower()}: {'; '.join(where[:3])}") from None
