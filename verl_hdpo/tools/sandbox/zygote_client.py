"""The owner's side of a zygote: starts it, has sessions forked, learns how they ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from verl_hdpo.tools.io_loop import in_thread
from verl_hdpo.tools.sandbox import bubblewrap, cgroup, launcher, scratch
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.namespaces import JAIL_SCRATCH
from verl_hdpo.tools.sandbox.readable import package_directories, readable_view
from verl_hdpo.tools.sandbox.session_process import LOST, Exit, SessionProcess
from verl_hdpo.tools.sandbox.zygote import MAX_MESSAGE
from verl_hdpo.tools.sandbox.zygote_settings import ZygoteSettings

logger = logging.getLogger(__name__)

ZYGOTE_START_SECONDS = 120.0
"""Limit of a zygote's start, which imports all modules: about two seconds on an idle machine."""

END_SECONDS = 15.0

LEAST_BYTES = 1 << 20
"""Free space below which a disk counts as full."""


class StartError(RuntimeError):
    """A zygote did not come up behind the walls it was to have."""


class ZygoteClient:
    """One zygote; all methods belong to the event loop that started it.

    Attributes:
        in_force: what isolates its sessions, as it reported.
        is_lost: whether it is gone, and its sessions with it.
    """

    def __init__(
        self,
        process: subprocess.Popen,
        control: socket.socket,
        errors: BinaryIO,
        directory: str,
        group: Path | None,
    ):
        self.in_force: dict[str, Any] = {}
        self.is_lost = False
        self._process, self._control, self._errors, self._directory = process, control, errors, directory
        self._group = group
        self._sessions: dict[int, SessionProcess] = {}
        self._outbox: deque[tuple[bytes, socket.socket]] = deque()
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._loop.add_reader(control, self._receive)

    @classmethod
    async def start(
        cls, mechanism: str, limits: Limits, modules: Sequence[str], memory: int | None = None
    ) -> ZygoteClient:
        """Bring one up.

        Args:
            mechanism: see ``ZygoteSettings``.
            limits: of each session.
            modules: imported once, for all sessions.
            memory: bytes that all together may hold, if the kernel lets this process bound them.

        Raises:
            StartError: it could not start, or its walls do not hold; the message says why.
        """
        spawned = asyncio.ensure_future(in_thread(_spawn, mechanism, limits, tuple(modules), memory))
        try:
            client = cls(*await asyncio.shield(spawned))
        except asyncio.CancelledError:
            with contextlib.suppress(StartError):
                await cls(*await spawned).close()
            raise
        try:
            client.in_force = await asyncio.wait_for(client._ready, ZYGOTE_START_SECONDS)
            client.in_force["memory"] = "cgroup" if cgroup.holds(client._group, client.pid) else "watched"
        except BaseException as error:
            await client.close()
            if isinstance(error, asyncio.TimeoutError):
                raise StartError(f"not ready after {ZYGOTE_START_SECONDS:g} seconds") from None
            raise
        return client

    @property
    def pid(self) -> int:
        """Process id of its launcher, which ends when it ends."""
        return self._process.pid

    def start_session(self, number: int, connection: socket.socket) -> SessionProcess:
        """Have session ``number`` forked at the other end of ``connection``, which is closed here."""
        process = SessionProcess(has_scratch=self.in_force.get("own_mounts", False))
        if self.is_lost:
            connection.close()
            process.end(LOST)
        else:
            self._sessions[number] = process
            self._outbox.append((json.dumps({"id": number}).encode(), connection))
            self._flush()
        return process

    async def close(self) -> None:
        """End the zygote and its sessions, and wait until nothing is left of them."""
        self._lose(StartError("closed"))
        try:
            await in_thread(self._process.wait, END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await in_thread(self._process.wait)
        if self._directory != JAIL_SCRATCH:
            # The launcher has done so, unless it was killed.
            await in_thread(scratch.remove_for_good, self._directory)
        cgroup.remove(self._group)
        self._errors.close()

    @property
    def disk_is_full(self) -> bool:
        """Whether sessions' files lie on a file system of the host that has no room left, whoever filled it."""
        if self._directory == JAIL_SCRATCH:
            return False
        found = os.statvfs(self._directory)
        return found.f_bavail * found.f_frsize < LEAST_BYTES or (found.f_files > 0 and not found.f_favail)

    def last_words(self) -> str:
        """The end of what the zygote and its sessions wrote to standard error before those were walled in."""
        if self._errors.closed:
            return "it was closed"
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode("utf-8", "replace").strip() or "no message"

    def _flush(self) -> None:
        while self._outbox and not self.is_lost:
            message, connection = self._outbox[0]
            try:
                socket.send_fds(self._control, [message], [connection.fileno()])
            except BlockingIOError:
                self._loop.add_writer(self._control, self._flush)
                return
            except OSError as error:
                self._lose(StartError(str(error)))
                return
            self._outbox.popleft()
            connection.close()
        if not self.is_lost:
            self._loop.remove_writer(self._control)

    def _receive(self) -> None:
        try:
            message, handles, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, 1)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            words = self.last_words()
            if self._ready.done():
                logger.warning("the process that all interpreters come from has died: %s", words)
            self._lose(StartError(f"it ended while starting: {words}"))
            return
        event = json.loads(message)
        kind = event.pop("event")
        if kind == "ready":
            self._ready.set_result(event)
        elif kind == "failed":
            self._lose(StartError(event["error"]))
        elif kind == "started":
            self._sessions[event["id"]].begin(handles[0] if handles else -1)
        else:
            self._sessions.pop(event.pop("id")).end(Exit(**event))

    def _lose(self, reason: StartError) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        for _, connection in self._outbox:
            connection.close()
        if not self._ready.done():
            self._ready.set_exception(reason)
            self._ready.exception()  # a client that is closed while it starts has nobody who asks
        for process in self._sessions.values():
            process.end(LOST)
        self._sessions.clear()


def _spawn(
    mechanism: str, limits: Limits, modules: tuple[str, ...], memory: int | None
) -> tuple[Any, socket.socket, BinaryIO, str, Path | None]:
    in_jail = mechanism in ("bubblewrap", "namespaces")
    directory = JAIL_SCRATCH if in_jail else tempfile.mkdtemp(prefix="verl-hdpo-sandbox-")
    group = None if memory is None else cgroup.make(memory)
    settings = ZygoteSettings(
        mechanism,
        limits,
        modules,
        packages=tuple(package_directories()),
        view=tuple(readable_view()),
        scratch=directory,
        bubblewrap=bubblewrap.program() or "",
        cgroup=str(group or ""),
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (the client's, until it is collected)
    try:
        process = subprocess.Popen(
            launcher.command(theirs.fileno(), settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=[theirs.fileno()],
            env=launcher.environment(directory),
            cwd="/",
        )
    except OSError as error:
        ours.close()
        cgroup.remove(group)
        if not in_jail:
            os.rmdir(directory)
        raise StartError(f"cannot run {sys.executable}: {error}") from error
    finally:
        theirs.close()
    ours.setblocking(False)
    return process, ours, errors, directory, group
