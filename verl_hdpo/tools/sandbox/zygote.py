"""The process that all sessions of a pool are forked from: everything is imported once, here.

It never runs model code. Its owner sends it {"id": n} over a socket, with a session's end of another, and is told, one
JSON message each,

    {"event": "ready" | "failed", ...}        once
    {"event": "started", "id": n}             with the session's pidfd, by which the owner signals and kills it
    {"event": "exit", "id": n, ...}           when the session has ended

It ends, and its sessions with it, when the owner closes its end of that socket.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from verl_hdpo.tools.sandbox import kernel, lockdown, namespaces, scratch, scratch_watch, serve
from verl_hdpo.tools.sandbox.limits import MIB
from verl_hdpo.tools.sandbox.preload import reseed
from verl_hdpo.tools.sandbox.zygote_settings import ZygoteSettings
from verl_hdpo.tools.sandbox.zygote_setup import set_up

MAX_MESSAGE, MAX_ERROR = 4096, 2000


@dataclass
class _Session:
    pid: int
    handle: int
    scratch: str
    cause: str | None = None


class Zygote:
    """Forks sessions, signals them, and reports how they ended."""

    def __init__(self, settings: ZygoteSettings, control: socket.socket, walls: lockdown.Walls):
        self.settings, self.control, self.walls = settings, control, walls
        self.sessions: dict[int, _Session] = {}
        self.selector = selectors.EpollSelector()
        self._is_over = False
        self.selector.register(control, selectors.EVENT_READ, self._obey)
        if not walls.own_mounts:
            watch, self._full = scratch_watch.start(
                settings.scratch, settings.limits.scratch_mb * MIB, not_for_it=control.fileno()
            )
            self.selector.register(watch, selectors.EVENT_READ, self._end)  # without it nothing limits disk
            self.selector.register(self._full, selectors.EVENT_READ, self._kill_full)

    def run(self) -> None:
        """Serve until the owner is gone."""
        while not self._is_over:
            for key, _ in self.selector.select():
                key.data()
        for session in self.sessions.values():
            os.kill(session.pid, signal.SIGKILL)
            os.waitpid(session.pid, 0)

    def _end(self) -> None:
        self._is_over = True

    def _obey(self) -> None:
        message, handles, _, _ = socket.recv_fds(self.control, MAX_MESSAGE, 1)
        if not message:
            self._end()
            return
        self._start(json.loads(message)["id"], handles)

    def _start(self, number: int, handles: list[int]) -> None:
        pid: int | None = None
        handle: int | None = None
        token = scratch_watch.new_token()
        try:
            if not handles:
                raise OSError("no descriptor is left for the connection")
            pid = os.fork()
            if pid != 0:
                handle = os.pidfd_open(pid)
        except OSError:  # the owner sees the connection close
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            tell(self.control, event="exit", id=number, signal=0, cause="start", cpu_seconds=0.0)
        if pid == 0:
            self.control.detach()
            for key in self.selector.get_map().values():  # one per session, which would count against its own limit
                os.close(key.fd)
            _be_session(self.walls, handles[0], self._home(token, os.getpid()))
        for connection in handles:
            os.close(connection)
        if pid is not None and handle is not None:
            self.sessions[number] = _Session(pid, handle, self._home(token, pid))
            tell(self.control, [handle], event="started", id=number)
            self._when_ended(handle, functools.partial(self._reap, number))

    def _when_ended(self, handle: int, then: Callable[[], object]) -> None:
        def call() -> None:
            self.selector.unregister(handle)
            os.close(handle)
            then()

        self.selector.register(handle, selectors.EVENT_READ, call)

    def _kill(self, session: _Session, cause: str) -> None:
        if os.waitid(os.P_PID, session.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            session.cause = session.cause or cause
            os.kill(session.pid, signal.SIGKILL)

    def _reap(self, number: int) -> None:
        session = self.sessions.pop(number)
        _, status, usage = os.wait4(session.pid, 0)
        if not self.walls.own_mounts:
            self._discard(session.scratch)
        tell(
            self.control,
            event="exit",
            id=number,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            cause=session.cause,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
        )

    def _discard(self, home: str) -> None:
        """Remove a session's directory; one that hostile code filled is a process's work, as it may take seconds."""
        with contextlib.suppress(OSError):
            if scratch.remove_small(home):
                return
        pid = os.fork()
        if pid == 0:
            try:
                self.control.close()  # else the owner would not see the zygote's end
                scratch.remove_for_good(home)
            finally:
                os._exit(0)
        self._when_ended(os.pidfd_open(pid), functools.partial(os.waitpid, pid, 0))

    def _kill_full(self) -> None:
        names = os.read(self._full, 1 << 16).decode().split()
        for session in self.sessions.values():
            if os.path.basename(session.scratch) in names:
                self._kill(session, "disk")

    def _home(self, token: str, pid: int) -> str:
        if self.walls.own_mounts:
            return namespaces.JAIL_SCRATCH
        return os.path.join(self.settings.scratch, scratch_watch.home_name(token, pid))


def tell(control: socket.socket, handles: Sequence[int] = (), **event: Any) -> None:
    """Send the owner an event; it may be gone."""
    with contextlib.suppress(OSError):
        socket.send_fds(control, [json.dumps(event).encode()], handles)


def _be_session(walls: lockdown.Walls, connection: int, home: str) -> None:
    """Never returns."""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        if not walls.own_mounts:
            os.mkdir(home, 0o700)
        lockdown.lock_down(walls, home)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.dup2(connection, 3, inheritable=False)
        kernel.close_from(4)
        reseed()
        serve.serve(socket.socket(fileno=3), walls.limits)
    except Exception:
        traceback.print_exc()  # where the owner of the zygote can read it, until standard error is closed
    finally:
        os._exit(1)


def main() -> None:
    """``zygote.main`` of a process whose arguments are the control socket's descriptor and the settings."""
    settings = ZygoteSettings.from_json(sys.argv[-1])
    control = socket.socket(fileno=int(sys.argv[-2]))
    os.set_inheritable(control.fileno(), False)
    sys.path.extend(path for path in settings.packages if path not in sys.path)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one per session
    try:
        walls, in_force = set_up(settings)
    except Exception as error:
        tell(control, event="failed", error=f"{type(error).__name__}: {error}"[:MAX_ERROR])
        sys.exit(1)
    tell(control, event="ready", **in_force)
    Zygote(settings, control, walls).run()
