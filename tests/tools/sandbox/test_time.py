"""A call's time is its own: what other processes take from it is not charged, what its own threads take is."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pools import open_pool, wait

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.sandbox import lockdown
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.session_process import Usage, own_seconds

pytestmark = pytest.mark.slow

CPU = min(os.sched_getaffinity(0))
BURN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


@pytest.mark.parametrize(
    ("clock", "main", "waited", "cpu", "own"),
    [
        (10, 0, 0, 0, 10),  # asleep
        (10, 10, 0, 10, 10),  # computing alone
        (10, 2, 8, 2, 2),  # computing among others
        (10, 2, 3, 2, 7),  # asleep and computing among others
        (10, 2, 8, 10, 10),  # its own threads had the processor
        (10, 0, 0, 40, 10),  # its threads compute on four processors
        (10, 2, 8, 5, 5),  # its own threads and others'
        (10, 0, 0, -3, 10),  # it ended meanwhile
    ],
)
def test_own_seconds(clock, main, waited, cpu, own):
    start = Usage(100.0, 5.0, 7.0, 9.0)
    end = Usage(100.0 + clock, 5.0 + main, 7.0 + waited, 9.0 + cpu)
    assert own_seconds(start, end) == pytest.approx(own)


@contextlib.contextmanager
def busy_processor(processes=1):
    """Others who want the processor that ``pinned`` sessions have."""
    code = f"import os; os.sched_setaffinity(0, [{CPU}])\nprint(flush=True)\nwhile True: pass"
    hogs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(processes)
    ]
    try:
        for hog in hogs:
            hog.stdout.readline()
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
            hog.stdout.close()


@pytest.fixture
def pinned(session):
    """A session that runs on one processor."""
    os.sched_setaffinity(session.process.pid, [CPU])
    wait(session.run("import time", 30))
    return session


@pytest.mark.slow
def test_time_that_others_take_is_not_charged(pinned):
    with busy_processor(5):
        began = time.monotonic()
        result = wait(pinned.run(BURN.format(0.5), 2.0))
        took = time.monotonic() - began
    assert result.status == "ok", result
    assert took > 2.0, "the processor was not busy, so this shows nothing"


def test_a_call_that_never_gets_on_is_unavailable_and_its_session_lives(pinned):
    wait(pinned.run("x = 41", 30))
    with busy_processor():

        async def run():
            latest = asyncio.get_running_loop().time() + 1.0
            with pytest.raises(ToolUnavailable, match="other processes kept the code from running"):
                await pinned.run("while True: x = 42", 20, latest=latest)

        wait(run())
    assert wait(pinned.run("x", 30)).value in ("41", "42")


@pytest.mark.slow
def test_a_pool_s_patience_bounds_the_wait_for_the_processor():
    with open_pool("auto", modules=(), limits=Limits(), wait_seconds=3) as pool:
        wait(pool.zygote())
        session = wait(pool.session())
        os.sched_setaffinity(session.process.pid, [CPU])
        with busy_processor(4), pytest.raises(ToolUnavailable, match="other processes"):
            wait(pool.run(session, "while True: pass", 3))


def test_sleep_is_charged(session):
    assert wait(session.run("import time; time.sleep(20)", 0.5)).status == "interrupted"


def test_nothing_runs_between_calls(pool):
    """Neither a thread nor a first thread that has forged its answer."""
    session = wait(pool.session())
    forged = (
        "import os, json, struct\n"
        "h = json.dumps({'call': 1, 'status': 'ok', 'images': [], 'blobs': [0] * 4}).encode()\n"
        "os.write(3, struct.pack('!I', len(h)) + h)\nwhile True: pass"
    )
    assert wait(session.run(forged, 30)).status == "ok"
    process = session.process
    time.sleep(0.2)
    before = process.usage().cpu
    time.sleep(0.5)
    assert process.usage().cpu == before
    assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    session.close()


def test_threads_go_on_in_the_next_call(session):
    code = "import threading, time\nn = 0\ndef count():\n    global n\n    while True: n += 1; time.sleep(0.001)\n"
    result = wait(session.run(code + "threading.Thread(target=count, daemon=True).start()", 30))
    if "can't start new thread" in result.error:
        pytest.skip("no user namespaces here, so no threads")
    first = int(wait(session.run("n", 30)).value)
    time.sleep(0.3)
    second = int(wait(session.run("n", 30)).value)
    assert second - first < 50
    assert int(wait(session.run("time.sleep(0.3); n", 30)).value) > second


def test_sessions_give_way_to_training_in_processor_time_and_memory(pool):
    session = wait(pool.session())
    own, zygote = session.process.pid, psutil.Process(session.process.pid).ppid()
    score = {pid: int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (own, zygote)}
    assert score == {own: 1000, zygote: lockdown.ZYGOTE_SCORE}
    assert psutil.Process(own).nice() == min(19, psutil.Process().nice() + lockdown.NICENESS)
    assert psutil.Process(zygote).nice() == psutil.Process().nice()
    session.close()
