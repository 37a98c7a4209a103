"""One interpreter per trajectory, from its first call until the trajectory is gone."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.io_loop import in_thread
from verl_hdpo.tools.sandbox.code_runner import Answer, ImageSource
from verl_hdpo.tools.sandbox.isolation import require_isolation
from verl_hdpo.tools.sandbox.pool import SandboxPool
from verl_hdpo.tools.sandbox.session import GRACE_SECONDS, MOST_GRACE, Session


@dataclass
class _Held:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: Session | None = None
    images_bound: int = 0
    is_over: bool = False
    timer: asyncio.TimerHandle | None = None
    timed_out: bool = False


class TrajectorySessions:
    """A ``CodeRunner``: sessions of a pool by trajectory.

    A session also closes after ``idle_seconds`` without a call.
    """

    keeps_variables = True
    extra_seconds = MOST_GRACE * GRACE_SECONDS

    def __init__(self, pool: SandboxPool, idle_seconds: float):
        self._pool, self._idle_seconds = pool, idle_seconds
        self._held: weakref.WeakKeyDictionary[object, _Held] = weakref.WeakKeyDictionary()

    async def start(self) -> None:
        """Start an empty sandbox, once per process.

        Raises:
            SandboxRefused: nothing isolates model code here.
        """
        await require_isolation(self._pool.settings.isolation, self._pool.settings.allow_unsandboxed)

    async def run(self, trajectory: object, code: str, seconds: float, images: Sequence[ImageSource] = ()) -> Answer:
        """Run ``code`` in the trajectory's interpreter; its calls run one after the other.

        Args:
            trajectory: any hashable object that lives as long as the trajectory; its end closes the session.
            code: Python source.
            seconds: of its own time, see ``session_process.own_seconds``.
            images: all the trajectory's images so far; bound to ``image_1``, ``image_2``, ... once.

        Raises:
            ToolUnavailable: no session could be had, or it was lost through no doing of its code.
        """
        self._loop = asyncio.get_running_loop()
        held = self._held.get(trajectory)
        if held is None:
            held = self._held[trajectory] = _Held()
            weakref.finalize(trajectory, self._end_from_any_thread, held).atexit = False
        async with held.turn:
            if held.timer is not None:
                held.timer.cancel()
            try:
                return await self._run(held, code, seconds, images)
            finally:
                held.timer = self._loop.call_later(self._idle_seconds, self._time_out, held)

    async def interrupt(self, trajectory: object) -> None:
        held = self._held.get(trajectory)
        if held is not None and held.session is not None:
            held.session.interrupt()

    async def close(self) -> None:
        await self._pool.close()

    async def _run(self, held: _Held, code: str, seconds: float, images: Sequence[ImageSource]) -> Answer:
        if held.timed_out:
            held.timed_out = False
            raise ToolUnavailable(f"the interpreter was closed after {self._idle_seconds:g} seconds without a call")
        ends = self._pool.patience_ends()
        is_new = held.session is not None and not held.session.is_open
        if held.session is None or is_new:
            session = await self._pool.session(ends)
            if held.is_over:
                session.close()
            held.session, held.images_bound = session, 0
        first = held.images_bound
        pixels = await asyncio.gather(*(in_thread(image) for image in images[first:]))
        names = {f"image_{number}": image for number, image in enumerate(pixels, first + 1)}
        result = await self._pool.run(held.session, code, seconds, names, ends)
        held.images_bound = max(first, len(images))
        return Answer(result, is_new)

    def _time_out(self, held: _Held) -> None:
        if held.session is not None and held.session.is_open and not held.turn.locked():
            held.timed_out = True
            held.session.close()

    def _end_from_any_thread(self, held: _Held) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, held)

    def _end(self, held: _Held) -> None:
        held.is_over = True
        if held.timer is not None:
            held.timer.cancel()
        if held.session is not None:
            held.session.close()
