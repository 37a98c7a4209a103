"""Parts of the sandbox are killed: calls in progress have an unknown outcome, and nothing is left behind."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hang
import psutil
import pytest
from hang import HANG_SECONDS
from pools import BY_MECHANISM, HERE, SMALL, make_pool, open_pool, wait
from shared_memory import abandoned, segments

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.sandbox import zygote_client
from verl_hdpo.tools.sandbox.zygote_client import ZygoteClient

pytestmark = pytest.mark.slow

STUBBORN = (
    "import signal\nfor n in (1, 2, 3, 15): signal.signal(n, signal.SIG_IGN)\nopen('file', 'w')\nwhile True: pass"
)


def processes_below(pid):
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def assert_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=HANG_SECONDS)
    alive = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not alive


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    """Sandboxes of tests in other processes have their scratch directories elsewhere."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def scratch_directories():
    return set(Path(tempfile.gettempdir()).glob("verl-hdpo-sandbox-*"))


@pytest.fixture
def fresh(request):
    """A pool of its own for a test that breaks it."""
    with open_pool(request.param, modules=()) as pool:
        yield pool


def interpreter_of(pool, session):
    """The session's process, found by its id in its own namespace."""
    inner = wait(session.run("import os; os.getpid()", 30)).value
    for process in processes_below(pool._zygote.pid):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            if next(line for line in status.splitlines() if line.startswith("NSpid")).split()[-1] == inner:
                return process
    raise AssertionError(f"no process {inner}")


@pytest.mark.parametrize("during", ["a call", "a pause"])
def test_killing_an_interpreter_makes_the_outcome_unknown(pool, during):
    session = wait(pool.session())
    process = interpreter_of(pool, session)
    neighbour = wait(pool.session())

    async def run():
        if during == "a pause":
            process.send_signal(signal.SIGKILL)
            await asyncio.sleep(0.1)
        call = asyncio.ensure_future(session.run("import time; time.sleep(60)", 90))
        await asyncio.sleep(0.1)
        if during == "a call":
            process.send_signal(signal.SIGKILL)
        with pytest.raises(ToolUnavailable, match="killed from outside"):
            await call

    wait(run())
    assert not session.is_open
    assert wait(neighbour.run("1", 30)).value == "1"


@pytest.mark.parametrize("fresh", BY_MECHANISM, indirect=True)
@pytest.mark.parametrize("victim", ["launcher", "zygote"])
def test_killing_the_zygote_ends_all_sessions_and_the_next_call_starts_another(fresh, victim):
    before = scratch_directories()
    sessions = [wait(fresh.session()) for _ in range(3)]
    zygote = wait(fresh.zygote())
    processes = processes_below(zygote.pid)

    async def run():
        calls = [asyncio.ensure_future(s.run(STUBBORN, 60)) for s in sessions[:2]]
        await asyncio.sleep(0.2)
        processes[0 if victim == "launcher" else 1].send_signal(signal.SIGKILL)
        for ended in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(ended, ToolUnavailable), ended
        with pytest.raises(ToolUnavailable):
            await sessions[2].run("1", 30)
        another = await fresh.session()
        assert (await another.run("2", 30)).value == "2"
        assert await fresh.zygote() is not zygote

    wait(run())
    assert_gone(processes)
    assert len(scratch_directories() - before) == (fresh.settings.isolation == "landlock")


@pytest.mark.skipif("landlock" not in HERE, reason="needs a zygote whose limits can be set from outside")
@pytest.mark.parametrize("room", [0, 1], ids=["its connection", "its handle"])
def test_out_of_descriptors_only_the_new_session_fails(room):
    with open_pool("landlock", modules=(), spare_sessions=0) as pool:
        first = wait(pool.session())
        assert wait(first.run("1", 30)).value == "1"
        zygote = processes_below(wait(pool.zygote()).pid)[1].pid
        _, most = resource.prlimit(zygote, resource.RLIMIT_NOFILE)
        taken = {int(handle.name) for handle in Path(f"/proc/{zygote}/fd").iterdir()}
        free = [number for number in range(max(taken) + 3) if number not in taken]
        resource.prlimit(zygote, resource.RLIMIT_NOFILE, (free[room], most))
        with pytest.raises(ToolUnavailable, match="did not start"):
            wait(pool.session())
        assert wait(first.run("2", 30)).value == "2"
        resource.prlimit(zygote, resource.RLIMIT_NOFILE, (most, most))
        assert wait(wait(pool.session()).run("3", 30)).value == "3"


@pytest.mark.parametrize("mechanism", BY_MECHANISM)
@pytest.mark.slow
def test_killing_the_owner_leaves_nothing(mechanism, tmp_path):
    """kill -9 of the pool's process, with a call that ignores every signal it can, and a copy of its sockets abroad."""
    script = f"""
import asyncio, json, os, subprocess, sys, time
sys.path[:0] = {[str(Path(__file__).parent), str(Path(hang.__file__).parent)]!r}
from pools import make_pool, wait
async def main():
    pool = await make_pool({mechanism!r}, modules=(), spare_sessions=2)
    sessions = [await pool.session() for _ in range(3)]
    for session in sessions:
        await session.run("open('file', 'w').write('x' * 100)", 30)
    call = asyncio.ensure_future(sessions[0].run({STUBBORN!r}, 600))
    await asyncio.sleep(0.2)
    if os.fork() == 0:
        time.sleep(3)  # holds a copy of every socket
        os._exit(0)
    print(json.dumps([os.getpid(), pool._zygote.pid]), flush=True)
    await call
asyncio.run(main())
"""
    before = scratch_directories()
    shared = segments()
    owner = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    pid, launcher = json.loads(owner.stdout.readline())
    processes = processes_below(launcher)
    assert len(processes) > 4
    assert (mechanism == "landlock") == bool(list(tmp_path.iterdir()))
    os.kill(pid, signal.SIGKILL)
    owner.wait()
    assert_gone(processes)
    assert not list(tmp_path.iterdir())
    assert scratch_directories() == before
    assert not abandoned(shared)


@pytest.mark.parametrize("mechanism", BY_MECHANISM)
def test_closing_a_pool_leaves_nothing(mechanism):
    before = scratch_directories()

    async def run():
        pool = await make_pool(mechanism, modules=())
        session = await pool.session()
        await session.run("import os\nfor n in range(50): os.mkdir('d'); os.chdir('d')\nopen('f', 'w')", 30)
        processes = processes_below(pool._zygote.pid)
        await pool.close()
        return processes

    assert_gone(wait(run()))
    assert scratch_directories() == before


@pytest.fixture
def launchers(monkeypatch):
    """Every launcher that is started, half a second after it was asked for."""
    spawn, found = zygote_client._spawn, []

    def slow(*args):
        time.sleep(0.5)
        parts = spawn(*args)
        found.append(parts[0])
        return parts

    monkeypatch.setattr(zygote_client, "_spawn", slow)
    return found


@pytest.mark.parametrize("mechanism", BY_MECHANISM)
def test_calls_that_give_up_while_the_zygote_starts_leave_nothing(mechanism, launchers):
    async def run():
        pool = await make_pool(mechanism, modules=())
        for _ in range(2):
            call = asyncio.ensure_future(pool.session())
            while not launchers:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            call.cancel()
            await asyncio.wait({call})
        await pool.close()

    wait(run())
    (launcher,) = launchers
    assert launcher.poll() is not None


@pytest.mark.parametrize("when", ["it is being spawned", "it gets ready"])
def test_a_zygote_whose_start_is_cancelled_is_closed(when, launchers):
    async def run():
        start = asyncio.ensure_future(ZygoteClient.start(HERE[0], SMALL, ()))
        await asyncio.sleep(0.1)
        while when == "it gets ready" and not launchers:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        start.cancel()
        await asyncio.wait({start})
        assert start.cancelled()

    wait(run())
    (launcher,) = launchers
    assert launcher.poll() is not None


def test_a_closed_session_is_gone_at_once(pool):
    session = wait(pool.session())
    process = interpreter_of(pool, session)

    async def run():
        call = asyncio.ensure_future(session.run(STUBBORN, 60))
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.wait({call})
        return call

    assert wait(run()).cancelled()
    assert not session.is_open
    assert_gone([process])


def test_what_belongs_to_no_session_any_more_is_not_kept(pool):
    """Descriptors and tables of owner and zygote do not grow with the number of sessions."""

    async def cycle(count):
        for _ in range(count):
            session = await pool.session()
            await session.run("1", 30)
            session.close()
        await asyncio.sleep(0.3)

    def used():
        zygote = next(p for p in processes_below(pool._zygote.pid)[1:] if p.children() or p.num_fds() > 10)
        return len(os.listdir("/proc/self/fd")), zygote.num_fds(), len(pool._zygote._sessions)

    wait(cycle(3))
    first = used()
    wait(cycle(20))
    assert all(after <= before + 2 for before, after in zip(first, used(), strict=True))


@pytest.fixture
def on_disk():
    """A pool whose sessions' files lie on a file system of the host."""
    if "landlock" not in HERE:
        pytest.skip("there is no Landlock")
    with open_pool("landlock", modules=()) as pool:
        yield pool


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """4 MiB, where a pool without mounts of its own puts its sessions' files."""
    if "landlock" not in HERE or os.geteuid() != 0:
        pytest.skip("there is no Landlock, or nothing can be mounted")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_no_session_runs_without_the_watch_of_its_files(on_disk):
    session = wait(on_disk.session())
    zygote = wait(on_disk.zygote())
    watch = processes_below(zygote.pid)[1].children()[0]
    assert watch.pid != session.process.pid

    async def run():
        call = asyncio.ensure_future(session.run("import time; time.sleep(60)", 90))
        await asyncio.sleep(0.1)
        watch.send_signal(signal.SIGKILL)
        with pytest.raises(ToolUnavailable):
            await call
        another = await on_disk.session()
        assert (await another.run("2", 30)).value == "2"

    wait(run())


def test_files_of_a_session_at_rest_are_seen_and_those_of_others_left(on_disk):
    write = "open('f{}', 'wb').write(bytes({} << 20))"
    session, neighbour = wait(on_disk.session()), wait(on_disk.session())

    async def run():
        for each in (session, neighbour):
            await each.run(write.format(0, SMALL.scratch_mb // 2), 30)
        await asyncio.sleep(1.5)  # both have been seen at rest, and were found to be in order
        await session.run(write.format(1, SMALL.scratch_mb // 2 + 1), 30)
        assert (await asyncio.wait_for(session.process.ended, 30)).cause == "disk"
        result = await session.run("1", 30)
        assert (result.status, result.killed_because) == ("killed", f"it had written more than {SMALL.scratch_mb} MB")
        assert (await neighbour.run("1", 30)).value == "1"

    wait(run())


@pytest.mark.parametrize("filled_by", ["the session", "others"])
def test_a_full_disk_of_the_host_is_not_the_model_s_doing(filled_by, small_disk):
    """Whatever the code makes of it: here it catches the error, and would answer wrong."""
    write = "try:\n    open('f', 'wb').write(bytes(6 << 20))\nexcept OSError as error: error"
    with open_pool("landlock", modules=()) as pool:
        session = wait(pool.session())

        async def run():
            assert (await session.run("open('f', 'w').write('fits')", 30)).value == "4"
            ours = None if filled_by == "the session" else small_disk / "ours"
            if ours:
                with contextlib.suppress(OSError):
                    ours.write_bytes(bytes(6 << 20))
            with pytest.raises(ToolUnavailable, match=r"disk .* is full"):
                await session.run("1 + 1" if ours else write, 30)
            if ours:
                ours.unlink()
                assert (await session.run("1 + 1", 30)).value == "2"

        wait(run())


def test_a_zygote_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    start = time.monotonic()
    with pytest.raises(Exception, match="it ended while starting"):
        wait(ZygoteClient.start("landlock", SMALL, ()))
    assert time.monotonic() - start < zygote_client.ZYGOTE_START_SECONDS
