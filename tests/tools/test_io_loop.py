"""The I/O loop: one per process, whatever loops its callers run, and none of the parent's in a forked child."""

import asyncio
import subprocess
import sys
import threading

import pytest
from hang import HANG_SECONDS

from verl_hdpo.tools.io_loop import io_loop, on_io_loop, wait_on_io_loop


async def where():
    return asyncio.get_running_loop(), threading.current_thread().name


def test_every_caller_gets_the_same_loop():
    seen = [asyncio.run(on_io_loop(where())) for _ in range(2)] + [wait_on_io_loop(where(), 5)]
    assert seen == [(io_loop(), "verl-hdpo-io")] * 3


def test_errors_come_back():
    async def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(on_io_loop(fail()))


def test_cancelling_the_caller_cancels_the_work():
    ended = threading.Event()

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def caller():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(on_io_loop(work()), 0.1)

    asyncio.run(caller())
    assert ended.wait(HANG_SECONDS)


def test_waiting_has_an_end():
    with pytest.raises(TimeoutError, match=r"not done within 0.1 seconds"):
        wait_on_io_loop(asyncio.sleep(60), 0.1)


def test_a_forked_child_has_a_loop_of_its_own():
    code = (
        "import asyncio, os\nfrom verl_hdpo.tools.io_loop import wait_on_io_loop\n"
        "wait_on_io_loop(asyncio.sleep(0), 3600)\npid = os.fork()\n"
        "if pid == 0:\n    wait_on_io_loop(asyncio.sleep(0), 3600)\n    os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    assert done.stdout == "7\n"
