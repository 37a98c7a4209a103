"""Rows without ``tools_kwargs`` for a tool fail its call if other rows of the parquet file have them.

Parquet makes a key that only some rows have null in all others. ``tools_kwargs.get(name, {})`` then is None, and the
model is told of an error that is not its own.

Package: verl
Place: verl/experimental/agent_loop/tool_agent_loop.py, ToolAgentLoop._call_tool
Ours: verl_hdpo/adapters/tools_kwargs.py: tools_kwargs_of
"""

import asyncio

from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.experimental.agent_loop.tool_parser import FunctionCall
from verl.tools.schemas import ToolResponse


class Tool:
    async def create(self, create_kwargs):
        return "instance", ToolResponse()

    async def execute(self, instance_id, arguments, agent_data):
        return ToolResponse(text="42"), 0.0, {}

    async def release(self, instance_id):
        pass


class Loop:
    max_tool_response_length = 100
    tool_response_truncate_side = "left"

    def __init__(self):
        self.tools = {"tool": Tool()}


def called(tools_kwargs):
    call = FunctionCall(name="tool", arguments="{}")
    return asyncio.run(ToolAgentLoop._call_tool(Loop(), call, tools_kwargs, None))[0].text


def is_there() -> bool:
    return called({"tool": None}) != "42"


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
