"""The sum of what sessions hold is bounded, also by those that rest between calls."""

import asyncio
import os

import pytest
from pools import BY_MECHANISM, open_pool, wait

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.sandbox import cgroup
from verl_hdpo.tools.sandbox.limits import MIB, Limits

LIMITS = Limits(memory_mb=256, scratch_mb=64)
FILL = "block = b'x' * ({} << 20); len(block) >> 20"


@pytest.fixture(params=BY_MECHANISM)
def pool(request):
    with open_pool(request.param, limits=LIMITS, modules=("numpy",), spare_sessions=0, all_memory_mb=300) as pool:
        yield pool


@pytest.mark.slow
def test_of_sessions_that_together_hold_too_much_the_largest_is_ended(pool):
    async def run():
        small, large, last = [await pool.session() for _ in range(3)]
        assert (await pool.run(small, FILL.format(60), 30)).value == "60"
        assert (await pool.run(large, FILL.format(150), 30)).value == "150"
        call = asyncio.ensure_future(pool.run(last, FILL.format(120) + "; import time; time.sleep(3); 'done'", 30))
        ended = await asyncio.wait_for(large.process.ended, 30)
        by_kernel = (await pool.zygote()).in_force["memory"] == "cgroup"
        assert ended.cause == (None if by_kernel and ended.cause is None else "memory")
        with pytest.raises(ToolUnavailable, match=r"held more memory than they may|killed from outside"):
            await pool.run(large, "1", 30)
        assert (await call).value == "'done'"
        assert (await pool.run(small, "len(block) >> 20", 30)).value == "60"

    wait(run())


@pytest.mark.slow
def test_memory_that_sessions_share_with_what_they_were_forked_from_counts_for_none(pool):
    async def run():
        sessions = [await pool.session() for _ in range(30)]
        for session in sessions:
            await pool.run(session, "import numpy; numpy.ones(9).sum()", 30)
        await asyncio.sleep(1.5)
        assert all(session.is_alive for session in sessions)
        for session in sessions:
            session.close()

    wait(run())


@pytest.mark.parametrize(
    ("code", "least"),
    [
        (FILL.format(50), 50),
        ("import mmap; m = mmap.mmap(-1, 50 << 20); m.write(b'x' * (50 << 20))", 50),
        ("with open('f', 'wb') as f: f.write(bytes(50 << 20))", 50),
        # A page of page tables for each.
        (
            "import ctypes; libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p\n"
            "for n in range(5000):\n"
            "    ctypes.memset(libc.mmap(ctypes.c_void_p((1 << 40) + (n << 21)), ctypes.c_size_t(4096), 3, 0x32, -1,"
            " ctypes.c_long(0)), 1, 1)",
            38,
        ),
    ],
    ids=["private", "shared", "files", "page tables"],
)
def test_what_counts(pool, code, least):
    if "open(" in code and not wait(pool.zygote()).in_force["own_mounts"]:
        pytest.skip("files are on disk")
    session = wait(pool.session())
    assert wait(session.run(code, 30)).status == "ok"
    assert least * MIB <= session.process.held_bytes() < (least + 25) * MIB
    session.close()


def test_a_control_group_bounds_what_a_look_twice_a_second_cannot():
    """Where this user may make one; the kernel kills inside it, sessions first."""
    group = cgroup.make(1 << 30)
    cgroup.remove(group)
    if group is None:
        pytest.skip("no control group can be made here")
    with open_pool("auto", limits=Limits(memory_mb=1000), modules=(), all_memory_mb=200) as pool:

        async def run():
            zygote = await pool.zygote()
            assert zygote.in_force["memory"] == "cgroup"
            session = await pool.session()
            with pytest.raises(ToolUnavailable, match=r"killed from outside|held more memory"):
                await pool.run(session, FILL.format(600), 60)
            another = await pool.session()
            assert (await pool.run(another, "1", 30)).value == "1"
            assert await pool.zygote() is zygote
            return zygote

        made = wait(run())._group
        assert made.exists()
    assert not made.exists()


def test_no_control_group_is_left_of_an_owner_that_was_killed(tmp_path):
    (tmp_path / "verl-hdpo-sandbox-4194305-0").mkdir()  # more than any process id
    (tmp_path / f"verl-hdpo-sandbox-{os.getpid()}-0").mkdir()
    cgroup._remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == [f"verl-hdpo-sandbox-{os.getpid()}-0"]


def test_the_machine_s_memory_is_no_more_than_the_container_s():
    assert 0 < cgroup.memory_here() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
