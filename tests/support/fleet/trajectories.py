"""Trajectories that notice whatever a fleet loses, runs twice or confuses."""

from __future__ import annotations

import asyncio
import random
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.server.client import ToolClient
from verl_hdpo.tools.server.conversation import Conversation
from verl_hdpo.tools.server.messages import CallResult
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.server.sessions import ServedTool

TOOL = "counter"


class CounterTools:
    """A tool that counts the calls of each conversation, for all servers of a process.

    Attributes:
        runs: how often each (trajectory, call) ran to its end.
    """

    def __init__(self, seconds: float, chance: random.Random):
        self._seconds, self._chance = seconds, chance
        self.runs: Counter[tuple[int, int]] = Counter()

    def of_server(self, url: str) -> list[ServedTool]:
        counts: weakref.WeakKeyDictionary[Conversation, int] = weakref.WeakKeyDictionary()

        async def run(conversation: Conversation, arguments: Any, create_kwargs: dict[str, Any]) -> CallResult:
            await asyncio.sleep(self._chance.expovariate(1 / self._seconds))
            counts[conversation] = counts.get(conversation, 0) + 1
            self.runs[tuple(arguments)] += 1
            return CallResult(status="ok", text=str(counts[conversation]))

        schema = {"function": {"name": TOOL, "description": "", "parameters": {}}}
        return [ServedTool(TOOL, schema, Needs(), run)]


@dataclass(frozen=True)
class Habits:
    """What trajectories do.

    Attributes:
        calls: of each trajectory.
        start_seconds: they start evenly over so long.
        think_seconds: before every call but the first, on average; between half of it and one and a half.
    """

    calls: int
    start_seconds: float
    think_seconds: float


@dataclass
class Ends:
    """How calls ended.

    Attributes:
        answered: calls.
        unavailable: calls that the client told to have no outcome.
        whole, cut: trajectories without and with such a call.
        problems: what must not happen.
        seconds: that each answered call took.
    """

    answered: int = 0
    unavailable: int = 0
    whole: int = 0
    cut: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class _Trajectory:
    """Stands for verl's ``AgentData``; its end closes the session."""


Request = Callable[[int, int], tuple[str, Any]]


def _ask_counter(number: int, call: int) -> tuple[str, Any]:
    return TOOL, [number, call]


async def run_all(
    clients: Sequence[ToolClient],
    count: int,
    habits: Habits,
    chance: random.Random,
    ends: Ends,
    rounds: int = 1,
    request: Request = _ask_counter,
) -> None:
    """``count`` trajectories at a time, ``rounds`` of them one after the other, taking turns among the clients.

    Args:
        clients, count, habits, rounds: as above.
        chance: draws when they start and think.
        ends: where their ends are counted.
        request: tool and arguments of a call, given the numbers of trajectory and call; the answer counts the calls.
    """
    loop = asyncio.get_running_loop()

    async def some(number: int) -> None:
        await asyncio.sleep(chance.uniform(0.0, habits.start_seconds))
        for turn in range(rounds):
            await one(turn * count + number)

    async def one(number: int) -> None:
        client, trajectory, cut = clients[number % len(clients)], _Trajectory(), False
        for call in range(habits.calls):
            await asyncio.sleep(habits.think_seconds * chance.uniform(0.5, 1.5) if call else 0.0)
            began = loop.time()
            try:
                answer = await client.call(trajectory, *request(number, call), {})
            except ToolUnavailable:
                cut = True
                ends.unavailable += 1
                continue
            ends.answered += 1
            ends.seconds.append(loop.time() - began)
            if cut or answer.text != str(call + 1):
                ends.problems.append(
                    f"call {call + 1} of trajectory {number}: {answer.text}, unavailable before: {cut}"
                )
        ends.whole, ends.cut = ends.whole + (not cut), ends.cut + cut

    await asyncio.gather(*(some(number) for number in range(count)))
