"""Imports what the workers of a verl run import, and forks one for each connection.

``python server.py FD PID MODULES``: the socket it listens on, the raylet with which it ends, what it imports. A worker
is killed when the process that asked for it is gone, as Ray would have killed it in its place.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path

POLL_SECONDS = 1.0


class Server:
    def __init__(self, listener: socket.socket, raylet: int, modules: list[str]):
        self._listener = listener
        self._raylet = raylet
        self._modules = modules
        self._askers: dict[int, socket.socket] = {}
        """By the process id of the worker."""

    def run(self) -> dict | None:
        """Returns in a forked process, with the worker that it is to be; in the server, when the raylet has ended."""
        for module in self._modules:
            with contextlib.suppress(ImportError):  # a worker that needs it says so
                importlib.import_module(module)
            if worker := self._answer(0):
                return worker
        gc.freeze()  # a collection in a worker would write to, and so copy, every page
        while Path(f"/proc/{self._raylet}").exists():
            if worker := self._answer(POLL_SECONDS):
                return worker
        return None

    def _answer(self, seconds: float) -> dict | None:
        """Forks a worker if one is asked for, ends those whose asker is gone, and tells how those ended that did."""
        ready, _, _ = select.select([self._listener, *self._askers.values()], [], [], seconds)
        for pid, asker in self._askers.items():
            if asker in ready:  # it says nothing more: it is gone
                os.kill(pid, signal.SIGKILL)
        for pid in [*self._askers]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with self._askers.pop(pid) as asker, contextlib.suppress(OSError):
                    code = os.waitstatus_to_exitcode(status)
                    asker.send(str(code if code >= 0 else 128 - code).encode())
        if self._listener not in ready:
            return None
        asker, _ = self._listener.accept()
        worker, files = received(asker)
        check_that_ids_differ()
        pid = os.fork()
        if pid:
            self._askers[pid] = asker
            for file in files:
                os.close(file)
            asker.send(b"\n")
            return None
        for connection in (self._listener, asker, *self._askers.values()):
            connection.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return worker


def received(asker: socket.socket) -> tuple[dict, list[int]]:
    size, files, _, _ = socket.recv_fds(asker, 8, 3)
    with asker.makefile("rb") as stream:
        return json.loads(stream.read(int(size))), files


def draw_class_ids_from_the_system() -> None:
    """Ray draws its ids from one generator of a process, which forked workers must not share once it is seeded.

    ray/actor.py draws one, ``ActorClassID.from_random()``, wherever a class is decorated with ``ray.remote``.
    """
    import ray.actor

    class FromSystem(ray.ActorClassID):
        @classmethod
        def from_random(cls) -> ray.ActorClassID:
            return ray.ActorClassID(os.urandom(ray.ActorClassID.size()))

    ray.actor.ActorClassID = FromSystem


def check_that_ids_differ() -> None:
    """Ends the server if its generator is seeded, whatever did it; the workers then start as usual."""
    if "ray" in sys.modules and drawn_in_a_fork() == drawn_in_a_fork():
        sys.exit("Ray's generator of ids was used while modules were imported; workers start one by one")


def drawn_in_a_fork() -> bytes:
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, sys.modules["ray"].ObjectRef.from_random().binary())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with open(read, "rb") as pipe:
        return pipe.read()


def become(worker: dict) -> None:
    """Takes from the worker's asker what Python and its libraries would have read at their start."""
    os.setsid()  # Ray ends the process group of a worker that has ended
    os.environ.clear()
    os.environ.update(worker["environment"])
    os.chdir(worker["folder"])
    sys.argv = worker["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # Python seeds its own anew at a fork
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # no thread may be there at a fork
    draw_class_ids_from_the_system()
    worker = Server(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3].split(",")).run()
    if worker:
        become(worker)
        runpy.run_path(sys.argv[0], run_name="__main__")
