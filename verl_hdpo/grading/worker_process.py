"""``WorkerPool``: calls in processes of their own, which the kernel ends when a call computes too long.

Python cannot stop a thread, and a timeout by signal fails off the main thread, where Ray runs a reward worker. Here
SIGPROF keeps its default action, death, so the limit holds whatever the interpreter is doing. It counts processor
time, of which a busy machine takes no more; a call that waits is ended by a clock that leaves out waiting for a
processor. ``python -m verl_hdpo.grading.worker_process <module> <descriptor>`` is a worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from verl_hdpo.runs.tree_clock import TreeClock

LOOK_SECONDS = 1.0
"""Between looks at a worker's clock."""
PR_SET_PDEATHSIG = 1


class WorkerError(RuntimeError):
    """A worker gave no answer: it was ended at a limit, died, or could not start."""


class WorkerOverLimit(WorkerError):
    """It used up the processor time that it had."""


class WorkerStalled(WorkerError):
    """It was ended by the clock: it neither answered nor computed."""


class WorkerPool:
    """At most ``workers`` processes; each thread of ``executor`` keeps one, started when first needed.

    Args:
        module: what runs in them. Its ``begin(start)`` returns the function that answers requests.
        start: for ``begin``; it, requests and answers are pickled.
        workers: how many there are at most.
        start_seconds: by the worker's clock, for its start.
    """

    def __init__(self, module: str, start: Any, workers: int, start_seconds: float) -> None:
        self._module, self._start, self._start_seconds = module, start, start_seconds
        self._local = threading.local()
        self.executor = ThreadPoolExecutor(workers, thread_name_prefix=module.rpartition(".")[2])

    def ask(self, request: Any, cpu_seconds: float, clock_seconds: float) -> Any:
        """What the worker of the calling thread, one of ``executor``'s, answers. Blocking.

        Raises:
            WorkerOverLimit: no answer within ``cpu_seconds`` of processor time.
            WorkerStalled: no answer within ``clock_seconds``, less those in which it waited for a processor.
            WorkerError: it died.
        """
        message = pickle.dumps((request, cpu_seconds))
        worker = getattr(self._local, "worker", None)
        if worker is None or worker.process.poll() is not None:
            self._local.worker = None
            worker = _Worker(self._module)
            if why_not := worker.ask(pickle.dumps(self._start), self._start_seconds):
                raise WorkerError(f"the process could not start: {why_not}")
            self._local.worker = worker
        return worker.ask(message, clock_seconds)


class _Worker:
    def __init__(self, module: str) -> None:
        self._pipe, theirs = Pipe()
        package_root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # what it starts is ended with it
            )
        self._clock = TreeClock(self)

    def look(self) -> Sequence[int]:
        """The processes whose time counts, for the clock: this one, and what it has started."""
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(self.process.pid).children(recursive=True)
        return [self.process.pid, *(process.pid for process in below)]

    def ask(self, message: bytes, clock_seconds: float) -> Any:
        try:
            self._clock.look()
            ends = self._clock.now + clock_seconds
            self._pipe.send_bytes(message)
            while not self._pipe.poll(min(LOOK_SECONDS, clock_seconds)):
                self._clock.look()
                if self.process.poll() is not None:  # a process that it forked may hold the pipe open
                    raise EOFError
                if self._clock.now > ends:
                    self._end()
                    raise WorkerStalled(f"no answer within {clock_seconds:g} s, so it was ended")
            return pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1.0)  # or the status would be ours
            status = self._end()
            if status == -signal.SIGPROF:
                raise WorkerOverLimit("no answer in the processor time that it may take") from error
            raise WorkerError(f"the process ended with status {status}") from error

    def _end(self) -> int:
        """End it with all that it started; its status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._pipe.close()
        return self.process.wait()


def _serve(module: str, descriptor: str) -> None:
    """Answer requests until the pool is gone; what the module raises ends the worker."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a call that waits must not outlive the trainer
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(2, 1)  # the output of a command that asks is its own
    pipe: Connection[Any, Any] = Connection(int(descriptor))
    try:
        try:
            answer: Callable[[Any], Any] = importlib.import_module(module).begin(pickle.loads(pipe.recv_bytes()))
        except Exception as error:
            pipe.send_bytes(pickle.dumps(repr(error)))
            raise
        pipe.send_bytes(pickle.dumps(None))
        while True:
            request, cpu_seconds = pickle.loads(pipe.recv_bytes())
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            found = pickle.dumps(answer(request))
            signal.setitimer(signal.ITIMER_PROF, 0)
            pipe.send_bytes(found)
    except (EOFError, BrokenPipeError):
        pass


if __name__ == "__main__":
    _serve(*sys.argv[1:])
