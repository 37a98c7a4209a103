"""A tool that counts the calls of each trajectory, for servers in processes of their own."""

from __future__ import annotations

import asyncio
import random
import weakref
from typing import Any

from verl_hdpo.settings.tool import ToolSettings
from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.schema import Signature


class CounterSettings(ToolSettings):
    """``config`` of the tool.

    Attributes:
        seconds: that a call takes on average.
        exponential: whether its time is drawn; else all take equally long.
    """

    seconds: float = 0.5
    exponential: bool = True


class CounterTool(Tool):
    """Answers with the number of calls that this trajectory has made; it forgets them when the server is killed."""

    kind = "counter"
    settings_class = CounterSettings
    signature = Signature.of_texts("counter", "Count.")

    def prepare(self, settings: CounterSettings) -> None:
        self._settings = settings
        self._counts: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()

    async def answer(self, arguments: Any, call: Call) -> Answer:
        seconds = self._settings.seconds
        await asyncio.sleep(random.expovariate(1 / seconds) if self._settings.exponential else seconds)
        count = self._counts[call.trajectory] = self._counts.get(call.trajectory, 0) + 1
        return Answer(str(count))
