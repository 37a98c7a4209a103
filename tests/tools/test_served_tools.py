"""A tool as a tool server runs it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from verl_hdpo.adapters.served_tools import served
from verl_hdpo.tools.base import Answer, Tool
from verl_hdpo.tools.calculator import CalculatorTool
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.server.conversation import Conversation


class Blocking(Tool):
    """Keeps a thread of the loop's until it is let go."""

    kind = "blocking"
    signature = Signature.of_texts("blocking", "")

    def prepare(self, settings):
        self.let_go, self.blocked = threading.Event(), asyncio.Event()

    async def answer(self, arguments, call):
        self.blocked.set()
        await asyncio.to_thread(self.let_go.wait, 60)
        return Answer("at last")


class Picture(Tool):
    kind = "picture"
    signature = Signature.of_texts("picture", "")

    async def answer(self, arguments, call):
        return Answer(None, [Image.new("RGB", (4, 3))])


def test_tools_that_block_all_threads_of_the_loop_hold_up_no_other():
    async def run():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        tool = Blocking({})
        slow = [asyncio.ensure_future(served(tool).run(Conversation(), {}, {})) for _ in range(3)]
        await tool.blocked.wait()
        try:
            calculator, picture = served(CalculatorTool({"type": "native"})), served(Picture({}))
            assert (await asyncio.wait_for(calculator.run(Conversation(), {"expression": "6*7"}, {}), 30)).text == "42"
            (image,) = (await asyncio.wait_for(picture.run(Conversation(), {}, {}), 30)).images
            assert image.image().size == (4, 3)
        finally:
            tool.let_go.set()
        assert [outcome.text for outcome in await asyncio.gather(*slow)] == ["at last"] * 3

    asyncio.run(run())
