"""Sessions for a whole process: started from one zygote, some of them ahead of need."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import deque
from collections.abc import Mapping

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.sandbox import cgroup
from verl_hdpo.tools.sandbox.frames import Pixels
from verl_hdpo.tools.sandbox.isolation import SandboxRefused, log_isolation, start_zygote
from verl_hdpo.tools.sandbox.limits import MIB
from verl_hdpo.tools.sandbox.memory_watch import MemoryWatch
from verl_hdpo.tools.sandbox.session import Result, Session
from verl_hdpo.tools.sandbox.settings import PoolSettings
from verl_hdpo.tools.sandbox.zygote_client import ZygoteClient


class SandboxPool:
    """Hands out sessions; all methods belong to one event loop."""

    def __init__(self, settings: PoolSettings):
        self.settings = settings
        self._numbers = itertools.count()
        self._zygote: ZygoteClient | None = None
        self._starting: asyncio.Task[None] | None = None
        self._open = asyncio.Semaphore(settings.max_sessions)
        self._running = asyncio.Semaphore(settings.max_running or 4 * (os.cpu_count() or 1))
        self._spares: deque[Session] = deque()
        self._filling: asyncio.Task | None = None
        mib = settings.all_memory_mb
        self._all_memory = cgroup.memory_here() // 2 if mib is None else mib * MIB
        self._memory = MemoryWatch(self._all_memory)
        self._watching: asyncio.Task | None = None

    def patience_ends(self) -> float:
        """When a call that comes now has waited ``wait_seconds``, by the loop's clock."""
        return asyncio.get_running_loop().time() + self.settings.wait_seconds

    async def session(self, ends: float | None = None) -> Session:
        """An interpreter that nothing has run in; ``close`` it when done.

        Args:
            ends: of the call's patience; None: it comes now.

        Raises:
            ToolUnavailable: none is free by then, or none can be started.
        """
        ends = self.patience_ends() if ends is None else ends
        await self._wait(self._open, ends, f"all {self.settings.max_sessions} interpreters are in use")
        try:
            session = self._take_spare() or await self._start_within(ends - asyncio.get_running_loop().time())
        except BaseException:
            self._open.release()
            raise
        session.on_close = self._open.release
        self._fill()
        return session

    async def run(
        self,
        session: Session,
        code: str,
        seconds: float,
        images: Mapping[str, Pixels] | None = None,
        ends: float | None = None,
    ) -> Result:
        """``Session.run`` when it is this call's turn to compute.

        Args:
            session, code, seconds, images: as there.
            ends: of the call's patience; None: it comes now.

        Raises:
            ToolUnavailable: its turn has not come by then, other processes took the processor for so long, or the
                session was lost through no doing of its code.
        """
        ends = self.patience_ends() if ends is None else ends
        await self._wait(self._running, ends, "as many calls are running as may run at a time")
        self._memory.begin(session.process)
        try:
            return await session.run(code, seconds, images, latest=ends + seconds)
        finally:
            self._memory.end(session.process)
            self._running.release()

    async def zygote(self) -> ZygoteClient:
        """The zygote; started again if it has died.

        Raises:
            SandboxRefused: nothing isolates its sessions.
        """
        if self._starting is None and (self._zygote is None or self._zygote.is_lost):
            self._starting = asyncio.ensure_future(self._start_zygote())
        if self._starting is not None:
            await asyncio.shield(self._starting)  # whoever gives up leaves it to the others
        assert self._zygote is not None
        return self._zygote

    async def close(self) -> None:
        """End everything, and wait until nothing is left."""
        for task in (self._filling, self._watching):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        while self._spares:
            self._spares.popleft().close()
        if self._starting is not None:
            await asyncio.wait({self._starting})
        if self._zygote is not None:
            await self._zygote.close()

    async def _wait(self, places: asyncio.Semaphore, ends: float, why: str) -> None:
        if not places.locked():
            await places.acquire()
            return
        left = ends - asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(places.acquire(), left)
        except asyncio.TimeoutError:
            raise ToolUnavailable(
                f"{why}, and the call has waited {self.settings.wait_seconds:g} seconds for a place"
            ) from None

    def _take_spare(self) -> Session | None:
        while self._spares:
            session = self._spares.popleft()
            if session.is_alive:
                return session
            session.close()
        return None

    async def _start_zygote(self) -> None:
        try:
            if self._zygote is not None:
                await self._zygote.close()
            settings = self.settings
            self._zygote = await start_zygote(
                settings.isolation, settings.allow_unsandboxed, settings.limits, settings.modules, self._all_memory
            )
            if self._watching is None:
                self._watching = asyncio.ensure_future(self._memory.run())
            log_isolation(self._zygote.in_force)
        finally:
            self._starting = None

    async def _start(self) -> Session:
        try:
            zygote = await self.zygote()
            return await Session(zygote, next(self._numbers), self.settings.limits).start()
        except (SandboxRefused, OSError) as error:
            raise ToolUnavailable(f"no interpreter can be started: {error}") from error

    async def _start_within(self, seconds: float) -> Session:
        try:
            return await asyncio.wait_for(self._start(), seconds)
        except asyncio.TimeoutError:
            raise ToolUnavailable(f"no interpreter was started within the {seconds:.0f} seconds left to wait") from None

    def _fill(self) -> None:
        if self._filling is None or self._filling.done():
            self._filling = asyncio.ensure_future(self._start_spares())

    async def _start_spares(self) -> None:
        while len(self._spares) < self.settings.spare_sessions:
            try:
                self._spares.append(await self._start())
            except ToolUnavailable:
                return  # whoever needs a session next will meet the same error
