"""A tool as a tool server runs it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from PIL import Image
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import ToolResponse

from verl_hdpo.adapters.served_tools import served
from verl_hdpo.tools.calculator import CalculatorTool
from verl_hdpo.tools.schema import text_schema
from verl_hdpo.tools.server.conversation import Conversation


class Blocking(BaseTool):
    """Keeps a thread of the loop's until it is let go."""

    def __init__(self):
        super().__init__({}, text_schema("blocking", ""))
        self.let_go, self.blocked = threading.Event(), asyncio.Event()

    async def execute(self, instance_id, parameters, **kwargs):
        self.blocked.set()
        await asyncio.to_thread(self.let_go.wait, 60)
        return ToolResponse(text="at last"), 0.0, {}


class Picture(BaseTool):
    def __init__(self):
        super().__init__({}, text_schema("picture", ""))

    async def execute(self, instance_id, parameters, **kwargs):
        return ToolResponse(image=[Image.new("RGB", (4, 3))]), 0.0, {}


def test_tools_that_block_all_threads_of_the_loop_hold_up_no_other():
    async def run():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        tool = Blocking()
        slow = [asyncio.ensure_future(served(tool).run(Conversation(), {}, {})) for _ in range(3)]
        await tool.blocked.wait()
        try:
            calculator, picture = served(CalculatorTool({"type": "native"})), served(Picture())
            assert (await asyncio.wait_for(calculator.run(Conversation(), {"expression": "6*7"}, {}), 30)).text == "42"
            (image,) = (await asyncio.wait_for(picture.run(Conversation(), {}, {}), 30)).images
            assert image.image().size == (4, 3)
        finally:
            tool.let_go.set()
        assert [outcome.text for outcome in await asyncio.gather(*slow)] == ["at last"] * 3

    asyncio.run(run())
