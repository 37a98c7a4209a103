"""``RewardFunction``: a user's reward function, called where it holds nothing up and can be stopped.

async   in the caller's event loop
else    in worker processes, which load it by its path as verl does (``load_module`` in verl/utils/import_utils.py)
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import inspect
import os
import pickle
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from verl_hdpo.grading.worker_process import WorkerError, WorkerPool, WorkerStalled
from verl_hdpo.outcomes.outcome import Outcome, OutcomeError
from verl_hdpo.outcomes.result import ignored_keys, outcome_of_result

AT_ONCE = 32
"""Calls of a function that is async, or in threads."""
FUNCTION_START_SECONDS = 600.0
"""For a worker's start, in which the function's file may load a model."""
IN_THREADS = "set +reward.reward_kwargs.function_processes=0 to call the function in the reward worker itself"


class FunctionFile(NamedTuple):
    """Where a reward function is, and its fixed arguments, the same in every call."""

    path: str
    name: str
    kwargs: Mapping[str, Any]


class RewardFunctionError(RuntimeError):
    """A call gave no result: the function raised, or did not come to its end in time."""


class RewardFunction:
    """
    Args:
        function: as verl loaded it, which brings its own fixed arguments.
        file: from where, for the processes.
        seconds: for one call.
        processes: for a function that is not async; 0: threads of this process.
    """

    def __init__(self, function: Callable[..., Any], file: FunctionFile, seconds: float, processes: int) -> None:
        self._function, self._file, self._seconds, self._processes = function, file, seconds, processes
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, arguments: Mapping[str, Any]) -> tuple[Outcome, frozenset[str]]:
        """The outcome, and the keys of the result that say nothing of it.

        Raises:
            RewardFunctionError: the function raised, or was not done within ``seconds``.
            OutcomeError: it returned something other than a score in [0, 1], or cannot be called in a process.
        """
        if self._processes and not inspect.iscoroutinefunction(self._function):
            return await self._in_process(arguments)
        async with self._slots:
            try:
                if inspect.iscoroutinefunction(self._function):
                    call = self._function(**arguments)
                else:
                    call = _in_thread(self._function, arguments)
                result = await asyncio.wait_for(call, self._seconds)
            except Exception as error:
                raise RewardFunctionError(repr(error)) from error
        return outcome_of_result(result), ignored_keys(result)

    async def _in_process(self, arguments: Mapping[str, Any]) -> tuple[Outcome, frozenset[str]]:
        try:
            path = Path(self._file.path.removeprefix("file://"))
            written = path.stat().st_mtime_ns if path.exists() else 0
            pool = _pool(pickle.dumps((sys.path, self._file)), written, self._processes)
            request = pickle.dumps(arguments)
        except Exception as error:  # pickle lets through whatever an object raises
            raise OutcomeError(f"cannot send the reward function its arguments: {error!r}; {IN_THREADS}") from error
        try:
            asked = pool.executor.submit(pool.ask, request, self._seconds * (os.cpu_count() or 1), self._seconds)
            found = await asyncio.wrap_future(asked)
        except WorkerStalled as error:
            raise RewardFunctionError(f"it took too long: {error}") from error
        except WorkerError as error:
            raise RewardFunctionError(f"{error}; the log may say more") from error
        if isinstance(found, Exception):
            raise found
        outcome, ignored = found
        return outcome, ignored


@functools.lru_cache(maxsize=4)
def _pool(start: bytes, written: int, processes: int) -> WorkerPool:
    """For all reward managers of this process; another one once the file has been written anew."""
    return WorkerPool("verl_hdpo.grading.reward_function", start, processes, FUNCTION_START_SECONDS)


async def _in_thread(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Run in a thread of its own: one that hangs must not hold a place in a pool that others wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(method: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            method(value)

    def work() -> None:
        method: Callable[[Any], None] = future.set_result
        try:
            value = function(**arguments)
        except Exception as error:
            method, value = future.set_exception, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, method, value)

    threading.Thread(target=work, name="custom-reward", daemon=True).start()
    return await future


def begin(start: bytes) -> Callable[[bytes], Any]:
    sys.path[:], file = pickle.loads(start)
    function = getattr(_module(file.path), file.name)

    def answer(request: bytes) -> Any:
        """An outcome and ignored keys, or the exception to raise in the reward worker."""
        try:
            arguments = pickle.loads(request)
        except Exception as error:
            return OutcomeError(f"the reward function's process cannot read its arguments: {error!r}; {IN_THREADS}")
        try:
            result = function(**{**arguments, **file.kwargs})
        except BaseException as error:  # also what ends a process: this one serves other calls
            return RewardFunctionError(repr(error))
        try:
            return outcome_of_result(result), ignored_keys(result)
        except OutcomeError as error:
            return error

    return answer


def _module(path: str) -> Any:
    if path.startswith("pkg://"):
        return importlib.import_module(path.removeprefix("pkg://").replace("/", "."))
    spec = importlib.util.spec_from_file_location("custom_module", path.removeprefix("file://"))
    assert spec and spec.loader, path
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
