"""A tool as a tool server runs it."""

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from verl.tools.schemas import ToolResponse

from verl_hdpo.adapters.served_tools import served
from verl_hdpo.tools.base import Answer, Tool
from verl_hdpo.tools.calculator import CalculatorTool
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.server.conversation import Conversation
from verl_hdpo.tools.server.messages import CallResult


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


class Misbehaving(Tool):
    """Does what it is given: returns it, or raises it."""

    kind = "misbehaving"
    signature = Signature.of_texts("misbehaving", "half \ud83d")
    does = release_raises = None

    async def execute(self, instance_id, parameters, **kwargs):
        if isinstance(self.does, BaseException):
            raise self.does
        return self.does

    async def release(self, instance_id, **kwargs):
        if self.release_raises:
            raise self.release_raises


@pytest.mark.parametrize(
    ("does", "status", "text"),
    [
        ((ToolResponse(text="cut \ud83d"), 0.0, {}), "ok", "cut \ufffd"),
        (BadCall("cut \ud83d"), "failed", "cut \ufffd"),
        (ToolUnavailable("cut \ud83d"), "unavailable", "cut \ufffd"),
        (SystemExit(1), "failed", "SystemExit 1"),
        ("text", "ends_run", "the tool 'misbehaving' .* is broken: execute must return .*, found str"),
        ((ToolResponse(video=[1]), 0.0, {}), "ends_run", "the tool 'misbehaving' .* is broken: it returns a video"),
    ],
)
def test_what_a_tool_does_reaches_the_client_as_what_it_is(does, status, text):
    tool = Misbehaving({})
    tool.does = does
    result = asyncio.run(served(tool).run(Conversation(), {}, {}))
    assert result.status == status and re.match(text, result.text)
    CallResult.model_validate_json(result.model_dump_json())
    json.dumps(served(tool).schema, ensure_ascii=False).encode()


class Owns:
    def __repr__(self):
        return "half \ud83d"


@pytest.mark.parametrize("reward", [None, True, 2, float("nan"), float("inf"), np.float32(1), np.int64(1)])
@pytest.mark.parametrize(
    "metrics", [None, {}, [1], "x", {"a": float("nan")}, {"a": Owns()}, {1: {2}}, {"a": np.ones(3)}]
)
def test_no_reward_and_no_metrics_keep_an_answer_from_the_client(reward, metrics):
    """verl's loops take any number and any metrics, and use neither."""
    tool = Misbehaving({})
    tool.does = ToolResponse(text="done", image=[None]), reward, metrics
    result = asyncio.run(served(tool).run(Conversation(), {}, {}))
    arrived = CallResult.model_validate_json(result.model_dump_json())
    assert (arrived.status, arrived.text, arrived.images) == ("ok", "done", [])
    assert arrived.reward == pytest.approx(float(reward or 0), nan_ok=True)


@pytest.mark.parametrize(
    ("does", "status"), [((ToolResponse(text="done"), 0.0, {}), "ok"), (ToolUnavailable("down"), "unavailable")]
)
def test_a_failed_release_changes_no_result(does, status):
    tool = Misbehaving({})
    tool.does, tool.release_raises = does, RuntimeError("no")
    assert asyncio.run(served(tool).run(Conversation(), {}, {})).status == status


def test_a_call_that_the_server_cancels_is_cancelled():
    tool = Blocking({})

    async def run():
        call = asyncio.ensure_future(served(tool).run(Conversation(), {}, {}))
        await tool.blocked.wait()
        call.cancel()
        await asyncio.wait({call})
        tool.let_go.set()  # the loop waits for its threads
        return call

    tool.blocked = asyncio.Event()
    assert asyncio.run(run()).cancelled()
