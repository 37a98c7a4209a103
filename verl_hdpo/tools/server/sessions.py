"""The trajectories of a tool server and their calls.

A session has one call at a time, and hands in its next one when that has ended. So a tool's queue, which is first come,
first served, never holds two calls of one session: sessions take turns, however many calls each of them sends.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.server.conversation import Conversation
from verl_hdpo.tools.server.kept_answers import KeptAnswers
from verl_hdpo.tools.server.messages import Call, CallResult
from verl_hdpo.tools.server.metrics import Metrics
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.server.settings import ServerSettings

KEPT_RESULTS = 4
"""Answers that a session keeps for a client that asks again; the ids of its calls it remembers all."""

CloseReason = Literal["finished", "idle", "vanished", "shutdown"]


@dataclass(frozen=True)
class ServedTool:
    """A tool.

    Attributes:
        name: what clients call it.
        schema: its schema in OpenAI's format.
        needs: what it is to be sent.
        run: runs one call, given the conversation, arguments and create_kwargs; raises nothing.
    """

    name: str
    schema: dict[str, Any]
    needs: Needs
    run: Callable[[Conversation, Any, dict[str, Any]], Awaitable[CallResult]]


class Refused(Exception):
    """A request that is not granted.

    Attributes:
        status: of HTTP.
        retry_after: seconds after which it may be; None: never.
    """

    def __init__(self, status: int, text: str, retry_after: int | None = None):
        super().__init__(text)
        self.status, self.retry_after = status, retry_after


class _Lane:
    """One tool, and the calls that it has."""

    def __init__(self, tool: ServedTool, max_running: int):
        self.tool, self.slots = tool, asyncio.Semaphore(max_running)
        self.pending = self.running = 0

    def count_running(self) -> int:
        return self.running

    def count_waiting(self) -> int:
        return self.pending - self.running


@dataclass(eq=False)
class _Session:
    heard: float
    used: float
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    conversation: Conversation = field(default_factory=Conversation)
    calls: dict[str, asyncio.Task[bytes] | None] = field(default_factory=dict)

    @property
    def pending(self) -> list[asyncio.Task[bytes]]:
        return [task for task in self.calls.values() if task is not None and not task.done()]


class Sessions:
    """All sessions of a server; every method belongs to its event loop.

    Args:
        tools: what it serves.
        settings: its limits.
        metrics: where it counts.
        clock: seconds.
    """

    def __init__(
        self,
        tools: Sequence[ServedTool],
        settings: ServerSettings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._lanes = {tool.name: _Lane(tool, settings.max_running) for tool in tools}
        self._settings, self._metrics, self._clock = settings, metrics, clock
        self._sessions: dict[str, _Session] = {}
        self._kept = KeptAnswers(settings.max_kept_mb << 20)
        for name, lane in self._lanes.items():
            metrics.running.labels(name).set_function(partial(_Lane.count_running, lane))
            metrics.waiting.labels(name).set_function(partial(_Lane.count_waiting, lane))
        metrics.sessions.set_function(lambda: len(self._sessions))

    def open(self, session_id: str) -> None:
        """Open a session; one that is open stays as it is.

        Raises:
            Refused: there are too many.
        """
        if session_id not in self._sessions:
            if len(self._sessions) >= self._settings.max_sessions:
                raise Refused(503, f"all {self._settings.max_sessions} sessions are in use", retry_after=2)
            now = self._clock()
            self._sessions[session_id] = _Session(now, now)

    def close(self, session_id: str, reason: CloseReason) -> None:
        """Close a session and cancel its calls; a second time has no effect."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        for task in session.pending:
            task.cancel()
        for call_id in session.calls:
            self._forget(session, call_id)
        session.calls.clear()  # else a cancelled task and its session would hold each other
        self._metrics.closed.labels(reason).inc()

    def renew(self, session_ids: Iterable[str]) -> None:
        """The client of these sessions is still there."""
        for session_id in session_ids:
            if session := self._sessions.get(session_id):
                session.heard = self._clock()

    def sweep(self) -> None:
        """Close the sessions whose client has vanished, and those without a call for long."""
        now = self._clock()
        for session_id, session in list(self._sessions.items()):
            if now - session.heard > self._settings.lease_seconds:
                self.close(session_id, "vanished")
            elif now - session.used > self._settings.idle_seconds and not session.pending:
                self.close(session_id, "idle")

    def close_all(self) -> None:
        """The server ends."""
        for session_id in list(self._sessions):
            self.close(session_id, "shutdown")

    def call(self, session_id: str, call_id: str, call: Call) -> asyncio.Task[bytes]:
        """The call of this id: a new one if there was none, else the first one, whatever ``call`` says.

        Returns:
            Its ``CallResult`` as JSON.

        Raises:
            Refused: no such session or tool, something that the tool does not need, no room, or the answer is gone.
        """
        session = self._session(session_id)
        for received in set(call.received) - {call_id}:
            self._forget(session, received)
        if call_id in session.calls:
            self._metrics.repeats.inc()
            return self._task(session, call_id)
        lane = self._lanes.get(call.tool)
        if lane is None:
            raise Refused(422, f"no tool {call.tool!r} here, only {', '.join(sorted(self._lanes))}")
        needs = lane.tool.needs
        if unneeded := sorted(set(call.create_kwargs) - set(needs.create_kwargs)):
            raise Refused(422, f"{call.tool} needs no create_kwargs {', '.join(unneeded)}")
        if call.images and not needs.images:
            raise Refused(422, f"{call.tool} needs no images")
        for image in call.images:
            try:
                image.image()
            except ValueError as error:
                raise Refused(422, str(error)) from None
        if len(session.pending) >= self._settings.max_waiting_per_session:
            raise Refused(429, f"{len(session.pending)} calls of this trajectory are waiting", retry_after=1)
        if lane.pending >= self._settings.max_waiting:
            raise Refused(503, f"{lane.pending} calls of {call.tool} are waiting", retry_after=1)
        finished = [key for key, task in session.calls.items() if task is not None and task.done()]
        for key in finished[: max(0, len(finished) - KEPT_RESULTS + 1)]:
            self._forget(session, key)
        # Counted here and not in the task, which starts later: two requests must not both find the last place.
        lane.pending += 1
        task = session.calls[call_id] = asyncio.ensure_future(self._run(session, lane, call))
        task.add_done_callback(lambda done: self._ended(session, call_id, lane, done))
        session.used = self._clock()
        return task

    def find(self, session_id: str, call_id: str) -> asyncio.Task[bytes]:
        """The call of this id.

        Raises:
            Refused: no such session or call, or the answer is gone.
        """
        session = self._session(session_id)
        if call_id not in session.calls:
            raise Refused(410, "no such call")
        return self._task(session, call_id)

    def cancel(self, session_id: str, call_id: str) -> None:
        """Cancel a call; one of this id that comes later does not run."""
        if session := self._sessions.get(session_id):
            if task := session.calls.get(call_id):
                task.cancel()
            session.calls[call_id] = None
            self._kept.release((id(session), call_id))

    def _forget(self, session: _Session, call_id: str) -> None:
        """Keep no answer of a finished call; its id stays known, so that it does not run again."""
        task = session.calls.get(call_id)
        if task is not None and task.done():
            session.calls[call_id] = None
        self._kept.release((id(session), call_id))

    def _session(self, session_id: str) -> _Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise Refused(404, "no such session: it was closed, or the server has been restarted")
        session.heard = self._clock()
        return session

    @staticmethod
    def _task(session: _Session, call_id: str) -> asyncio.Task[bytes]:
        task = session.calls[call_id]
        if task is None:
            raise Refused(410, "the answer to this call is no longer kept, or the call was cancelled")
        return task

    async def _run(self, session: _Session, lane: _Lane, call: Call) -> bytes:
        came = self._clock()
        async with session.turn, lane.slots:
            started = self._clock()
            self._metrics.waited.labels(lane.tool.name).observe(started - came)
            lane.running += 1
            try:
                session.conversation.add(call.images_before, call.images)
                outcome = await lane.tool.run(session.conversation, json.loads(call.arguments), call.create_kwargs)
            except (ToolUnavailable, ValueError) as error:  # ValueError: no JSON, which no client sends
                outcome = CallResult(status="unavailable", text=str(error))
            except RecursionError:
                outcome = CallResult(status="failed", text="the arguments are nested too deeply")
            finally:
                lane.running -= 1
                self._metrics.seconds.labels(lane.tool.name).observe(self._clock() - started)
        outcome, answer = self._encoded(outcome)
        self._metrics.calls.labels(lane.tool.name, outcome.status).inc()
        return answer

    def _encoded(self, outcome: CallResult) -> tuple[CallResult, bytes]:
        try:
            answer, limit = outcome.model_dump_json().encode(), self._settings.max_response_mb
            why = f"it has {len(answer)} bytes, over {limit} MiB" if len(answer) > limit << 20 else None
        except ValueError as error:
            why = str(error)
        if why is not None:
            outcome = CallResult(status="unavailable", text=f"the tool's answer cannot be sent: {why}")
            answer = outcome.model_dump_json().encode()
        return outcome, answer

    def _ended(self, session: _Session, call_id: str, lane: _Lane, task: asyncio.Task[bytes]) -> None:
        lane.pending -= 1
        session.used = self._clock()
        if task.cancelled():
            self._metrics.calls.labels(lane.tool.name, "cancelled").inc()
        elif session.calls.get(call_id) is task:
            self._kept.add((id(session), call_id), len(task.result()), lambda: session.calls.update({call_id: None}))
