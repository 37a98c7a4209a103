"""The formula of ``recipes/sizing.md`` against the real tool server's code, under load in virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest
from fleet import virtual_time
from fleet.in_memory import LATENCY_SECONDS, InMemoryFleet

from verl_hdpo.tools.server import TOKEN_ENV
from verl_hdpo.tools.server.client import ToolClient
from verl_hdpo.tools.server.fleet_size import Load, fleet
from verl_hdpo.tools.server.messages import CallResult
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.server.sessions import ServedTool
from verl_hdpo.tools.server.settings import ClientSettings, ServerSettings

pytestmark = pytest.mark.slow

TOKEN = "a-token-for-one-server-under-load"
PLACES, SECONDS, CALLS = 8, 0.5, 4000


class Trajectory:
    """Its end closes the session."""


async def seen_waits(rate, variability):
    chance = random.Random(1)

    async def run(conversation, arguments, create_kwargs):
        await asyncio.sleep(chance.expovariate(1 / SECONDS) if variability else SECONDS)
        return CallResult(status="ok", text=str(asyncio.get_running_loop().time()))

    tool = ServedTool("counter", {"function": {"name": "counter", "description": "", "parameters": {}}}, Needs(), run)
    network = InMemoryFleet(lambda url: [tool], ServerSettings(max_running=PLACES), TOKEN)
    network.start("http://server")
    client, loop = ToolClient(ClientSettings(urls=("http://server",)), network), asyncio.get_running_loop()
    took = []

    async def call():
        began = loop.time()
        await client.call(Trajectory(), "counter", {}, {})
        took.append(loop.time() - began)

    calls = []
    for _ in range(CALLS):
        await asyncio.sleep(chance.expovariate(rate))
        calls.append(asyncio.ensure_future(call()))
    await asyncio.gather(*calls)
    return sorted(took)


@pytest.mark.parametrize("share", [0.7, 0.85])
def test_a_real_server_lets_calls_wait_as_long_as_the_formula_says(monkeypatch, share):
    """Calls of equal length, so that the time over it is the wait; within a quarter, and some latency."""
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    rate = share * PLACES / SECONDS
    waits = [seconds - SECONDS for seconds in virtual_time.run(seen_waits(rate, 0))]
    expected = fleet(Load(rate, SECONDS, variability=0), 1, PLACES)
    # A call is two requests, and a place is held a little longer than the tool runs.
    latency = 4 * LATENCY_SECONDS
    for seen, told in ((sum(waits) / CALLS, expected.mean_wait), (waits[int(0.99 * CALLS)], expected.p99_wait)):
        assert seen == pytest.approx(told, abs=0.25 * told + latency)
