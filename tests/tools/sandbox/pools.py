"""Pools for the tests of this folder, and how to run something on their loop."""

import contextlib
import os
import threading

import pytest
from hang import HANG_SECONDS

from verl_hdpo.tools.io_loop import wait_on_io_loop
from verl_hdpo.tools.sandbox.isolation import MECHANISMS, SandboxRefused, start_zygote
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.pool import SandboxPool
from verl_hdpo.tools.sandbox.settings import PoolSettings
from verl_hdpo.tools.sandbox.zygote_client import ZygoteClient

SLOWNESS = int(os.environ.get("SANDBOX_TESTS_SLOWNESS", "1"))
"""How many times slower than a real one the machine is; an emulated one is."""

SMALL = Limits(cpu_seconds=SLOWNESS, memory_mb=128, scratch_mb=8, threads=8, open_files=64, output_chars=1000)
SECONDS = HANG_SECONDS


async def make_pool(mechanism, limits=SMALL, modules=("numpy", "numpy.random"), **settings):
    """A pool with this mechanism; ``none`` for limits alone, which ``auto`` would not choose here."""
    isolation = "auto" if mechanism == "none" else mechanism
    pool = SandboxPool(PoolSettings(isolation=isolation, limits=limits, modules=modules, **settings))
    if mechanism == "none":
        pool._zygote = await ZygoteClient.start(mechanism, limits, modules)
    return pool


def wait(work):
    """Run a coroutine on the loop that the pools belong to; from outside of it."""
    assert threading.current_thread() is threading.main_thread(), "this would wait for itself"
    return wait_on_io_loop(work, SECONDS)


def works(mechanism):
    async def try_it():
        zygote = await start_zygote(mechanism, False, SMALL, ())
        await zygote.close()

    try:
        wait(try_it())
    except SandboxRefused:
        return False
    return True


HERE = [mechanism for mechanism in MECHANISMS if works(mechanism)]
assert HERE, "no isolation mechanism works here: the python tool would refuse to start"
BY_MECHANISM = [pytest.param(name, marks=[pytest.mark.slow] if name != HERE[0] else []) for name in HERE]
"""`make test-fast` tries the strongest walls, `make test` all."""


@contextlib.contextmanager
def open_pool(mechanism, **settings):
    pool = wait(make_pool(mechanism, **settings))
    try:
        yield pool
    finally:
        wait(pool.close())
