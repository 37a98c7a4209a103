"""The quickstart's calculator as a tool of a class, which meets what ``call_faults`` has drawn."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "quickstart"))
from call_faults import FAULT, ON_SERVER, act_out
from tools import calculator

from verl_hdpo.settings.tool import ToolSettings
from verl_hdpo.tools.base import Answer, Tool
from verl_hdpo.tools.remote import RemoteTool
from verl_hdpo.tools.schema import Signature


class FaultySettings(ToolSettings):
    """``servers``: URLs of tool servers by what goes wrong with them."""

    servers: dict[str, str]


class FaultyCalculator(Tool):
    kind = "faulty calculator"
    settings_class = FaultySettings
    signature = Signature.of_texts("calculator", "", expression="")

    def prepare(self, settings):
        servers = {fault: {"urls": [url], "reconnect_seconds": 1} for fault, url in settings.servers.items()}
        self._remote = {
            fault: RemoteTool({"server": server, "tool": "calculator"}) for fault, server in servers.items()
        }

    async def answer(self, arguments, call):
        fault = FAULT.get()
        if fault in ON_SERVER:
            return await self._remote[fault].answer(arguments, call)
        await act_out(fault)
        answer = Answer(calculator(arguments["expression"]))
        if fault == "half a surrogate pair":
            return dataclasses.replace(answer, text=answer.text + "\ud83d")
        return dataclasses.replace(answer, reward=math.nan) if fault == "NaN as step reward" else answer

    async def release(self, instance_id, **kwargs):
        await super().release(instance_id, **kwargs)
        if FAULT.get() == "release raises":
            raise OSError("no")
