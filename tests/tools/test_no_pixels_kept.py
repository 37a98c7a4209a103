"""No image of a trajectory is kept once it is over: neither those of its prompt nor those that its tools made."""

import asyncio
import contextlib
import gc
import json
import sys
import time
from pathlib import Path

import pytest
from hang import HANG_SECONDS
from PIL import Image
from tool_servers import TOKEN, in_thread
from verl.experimental.agent_loop.tool_agent_loop import AgentData

from verl_hdpo.adapters.served_tools import served
from verl_hdpo.tools.base import Answer, Tool
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.image_search import ImageSearchTool
from verl_hdpo.tools.images.build import build
from verl_hdpo.tools.mcp import MCPTool
from verl_hdpo.tools.python import PythonTool
from verl_hdpo.tools.remote import RemoteTool
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.server import TOKEN_ENV
from verl_hdpo.tools.server.needs import Needs

pytestmark = pytest.mark.slow

SIDE = 61
"""Of every image here, and of no other."""

SERVER = str(Path(__file__).with_name("demo_mcp_server.py"))


class Crop(Tool):
    """Hands back the first image of the conversation, or fails with it in its hands."""

    kind = "crop"
    signature = Signature.of_texts("crop", "", how="")
    server_needs = Needs(images=True)

    async def answer(self, arguments, call):
        image = call.images[0].image.copy()
        match arguments.get("how"):
            case "bad":
                raise BadCall(f"no crop of {image}")
            case "down":
                raise ToolUnavailable("down")
            case "slow":
                await asyncio.sleep(60)
        return Answer("cropped", [image])


def crop(tmp_path, monkeypatch):
    return Crop({}), [{"how": how} for how in ("well", "bad", "down", "slow")]


def image_search(tmp_path, monkeypatch):
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "a.png")
    (tmp_path / "list").write_text(json.dumps({"key": "k", "results": [{"title": "T", "image": "a.png"}]}))
    build(tmp_path / "list", tmp_path / "built", 100)
    return ImageSearchTool({"type": "native", "path": str(tmp_path / "built")}), [{}, {"x": 1}]


def python(tmp_path, monkeypatch):
    tool = PythonTool({"type": "native", "modules": ["PIL.Image"], "spare_sessions": 0, "max_sessions": 2})
    return tool, [{"code": "image_1.rotate(90)"}, {"code": "1 / 0"}]


def mcp(tmp_path, monkeypatch):
    server = {"command": sys.executable, "args": [SERVER]}
    return MCPTool({"type": "native", "server": server, "tool": "picture", "images": True}), [{}, {"x": 1}]


@contextlib.contextmanager
def remote(tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    with in_thread([served(Crop({}))]) as url:
        tool = RemoteTool({"type": "native", "server": {"urls": [url]}, "tool": "crop"})
        yield tool, [{"how": how} for how in ("well", "bad", "down", "slow")]


def live():
    gc.collect()
    sizes = [thing.size for thing in gc.get_objects() if issubclass(type(thing), Image.Image)]
    return sum(max(size) in (SIDE, 40) for size in sizes)  # 40: of the MCP server's picture


async def trajectory(tool, arguments):
    part = {"type": "image", "image": Image.new("RGB", (SIDE, SIDE))}
    messages = [{"role": "user", "content": [part]}]
    data = AgentData(messages, [part["image"]], None, None, {}, {}, "id", {})
    answers = 0
    for one in arguments:
        instance, _ = await tool.create(create_kwargs={"key": "k"})
        try:
            response = (await asyncio.wait_for(tool.execute(instance, one, agent_data=data), 2.0))[0]
            answers += 1
            data.image_data += response.image or []
        except (BadCall, ToolUnavailable, asyncio.TimeoutError):
            pass
        finally:
            await tool.release(instance)
    assert answers and live() >= 1
    return answers


@pytest.mark.parametrize("make", [crop, image_search, python, mcp, remote])
def test_nothing_is_left_of_a_trajectory_s_images(make, tmp_path, monkeypatch):
    with contextlib.ExitStack() as stack:
        made = make(tmp_path, monkeypatch)
        tool, arguments = stack.enter_context(made) if hasattr(made, "__enter__") else made
        before = live()
        for _ in range(3):
            asyncio.run(trajectory(tool, arguments))
        ends = time.monotonic() + HANG_SECONDS  # sessions close in the background
        while live() > before and time.monotonic() < ends:
            time.sleep(0.1)
        assert live() == before
        assert not tool._instances
