"""A fleet in memory, its clients, and what becomes of their trajectories while servers are killed."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from fleet import virtual_time
from fleet.in_memory import InMemoryFleet
from fleet.trajectories import CounterTools, Ends, Habits, run_all
from verl_hdpo.tools.server import TOKEN_ENV
from verl_hdpo.tools.server.client import ToolClient
from verl_hdpo.tools.server.settings import ClientSettings, ServerSettings

TOKEN = "a-token-for-a-fleet-in-memory"  # nosec B105


@dataclass(frozen=True)
class Plan:
    """A simulation.

    Attributes:
        servers, clients, trajectories: how many; a client is a worker process.
        habits: of the trajectories.
        call_seconds: a call takes, on average.
        kills: (seconds, servers): so many are killed then, at once.
        down_seconds: after which a killed server is back.
        settings: of every server.
        seed: of all that is drawn.
    """

    servers: int
    clients: int
    trajectories: int
    habits: Habits
    call_seconds: float = 0.5
    kills: tuple[tuple[float, int], ...] = ()
    down_seconds: float = 10.0
    settings: ServerSettings = field(default_factory=ServerSettings)
    seed: int = 1


@dataclass
class Comeback:
    """Killed servers, together, and who asks them when they are back.

    Attributes:
        servers: how many were killed at once.
        sessions: they had.
        waiting: calls that met nothing but a dead server and came again when it was back.
        in_first_second: of those.
        most_in_tenth: of those, the most in a tenth of a second.
    """

    servers: int
    sessions: int
    waiting: int
    in_first_second: int
    most_in_tenth: int


def simulate(plan: Plan) -> dict[str, Any]:
    """Run it in virtual time."""
    os.environ[TOKEN_ENV] = TOKEN
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)  # there are millions of objects, and few of them are garbage
    try:
        return virtual_time.run(_simulate(plan))
    finally:
        gc.set_threshold(*before)


async def _simulate(plan: Plan) -> dict[str, Any]:
    chance, ends = random.Random(plan.seed), Ends()
    random.seed(plan.seed)  # the client's own jitter
    loop = asyncio.get_running_loop()
    tools = CounterTools(plan.call_seconds, chance)
    network = InMemoryFleet(tools.of_server, plan.settings, TOKEN)
    urls = [f"http://server-{number}" for number in range(plan.servers)]
    for url in urls:
        network.start(url)
    clients = [ToolClient(ClientSettings(urls=tuple(urls)), network) for _ in range(plan.clients)]
    work = asyncio.ensure_future(run_all(clients, plan.trajectories, plan.habits, chance, ends))
    await asyncio.sleep(plan.habits.start_seconds)
    spread = _spread((await network.sessions()).values())
    killed: list[tuple[float, list[str], int]] = []
    for seconds, number in plan.kills:
        await asyncio.sleep(max(0.0, seconds - loop.time()))
        open_sessions = await network.sessions()
        chosen = chance.sample(urls, number)
        for url in chosen:
            await network.kill(url)
        died = loop.time()
        await asyncio.sleep(plan.down_seconds)
        for url in chosen:
            network.start(url)
        killed.append((died, chosen, sum(open_sessions[url] for url in chosen)))
    await work
    await asyncio.sleep(plan.settings.lease_seconds * 2)
    twice = [which for which, runs in tools.runs.items() if runs > 1]
    ends.problems += [f"call {which} ran {tools.runs[which]} times" for which in twice]
    left = sum((await network.sessions()).values())
    if left:
        ends.problems.append(f"{left} sessions are still open after two leases")
    comebacks = [_comeback(network.arrivals, *one, plan.down_seconds) for one in killed]
    return {
        **{name: value for name, value in asdict(ends).items() if name != "seconds"},
        "spread": spread,
        "requests": len(network.arrivals),
        "virtual_seconds": round(loop.time()),
        "comebacks": [asdict(comeback) for comeback in comebacks],
    }


def _spread(sessions: Iterable[int]) -> dict[str, float]:
    counts = sorted(sessions)
    even = sum(counts) / len(counts)
    return {
        "open": sum(counts),
        "even": even,
        "fewest": counts[0],
        "most": counts[-1],
        "worst": max(counts[-1] - even, even - counts[0]) / even if even else 0.0,
    }


def _comeback(
    arrivals: Iterable[tuple[float, str, str, str]], died: float, chosen: list[str], sessions: int, down_seconds: float
) -> Comeback:
    back = died + down_seconds
    waiting: set[tuple[str, str]] = set()
    came: dict[tuple[str, str], float] = {}
    for when, url, method, path in arrivals:
        if url in chosen and method == "POST" and "/calls/" in path:
            if died <= when < back:
                waiting.add((url, path))
            elif when >= back and (url, path) in waiting:
                came.setdefault((url, path), when - back)
    tenths = Counter(int(after * 10) for after in came.values())
    return Comeback(
        servers=len(chosen),
        sessions=sessions,
        waiting=len(came),
        in_first_second=sum(after < 1 for after in came.values()),
        most_in_tenth=max(tenths.values(), default=0),
    )
