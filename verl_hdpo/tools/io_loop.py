"""One event loop in a thread of its own, for connections that every caller in the process shares.

An agent loop's own event loop stalls while it tokenises, and connections do not move between loops.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_LOCK = threading.Lock()
_LOOPS: list[asyncio.AbstractEventLoop] = []
_THREADS = ThreadPoolExecutor(16, "verl-hdpo-work")
os.register_at_fork(after_in_child=_LOOPS.clear)  # a forked child has the loop but not its thread


def io_loop() -> asyncio.AbstractEventLoop:
    """The loop; started when first asked for, ended with the process."""
    with _LOCK:
        if not _LOOPS:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="verl-hdpo-io", daemon=True).start()
            _LOOPS.append(loop)
        return _LOOPS[0]


async def on_io_loop(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` on the shared loop; cancelling the caller cancels the work."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, io_loop()))


async def in_thread(work: Callable[..., T], *args: Any) -> T:
    """Await blocking work that ends soon; not in the loop's own threads, which look-ups at a dead DNS server fill."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work, *args)


def wait_on_io_loop(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Block until ``work`` is done on the shared loop, for constructors; never call it from that loop.

    Raises:
        TimeoutError: it takes longer than ``seconds``; it is cancelled.
    """
    future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), io_loop())
    try:
        return future.result()
    except asyncio.TimeoutError as error:  # in Python 3.10 no TimeoutError
        raise TimeoutError(f"not done within {seconds:g} seconds") from error
