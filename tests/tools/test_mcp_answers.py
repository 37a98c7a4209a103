"""Whatever bytes an MCP server sends, the call that asked for them is answered, and the others' session goes on."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from free_port import free_port

from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.mcp import MCPTool
from verl_hdpo.tools.mcp_servers import connection

pytestmark = pytest.mark.slow

SERVER = str(Path(__file__).with_name("odd_mcp_server.py"))


def make(server):
    return MCPTool({"type": "native", "server": server, "tool": "odd"})


def stdio(ping="answered"):
    return make({"command": sys.executable, "args": [SERVER, ping]})


@pytest.fixture(scope="module", params=["stdio", "json", "sse"])
def tool(request):
    if request.param == "stdio":
        yield stdio()
        return
    port = free_port()
    process = subprocess.Popen([sys.executable, SERVER, "answered", str(port), request.param])
    try:
        while process.poll() is None and socket.socket().connect_ex(("127.0.0.1", port)):
            pass
        yield make({"url": f"http://127.0.0.1:{port}/mcp"})
    finally:
        process.kill()
        process.wait()


def call(tool, how):
    return asyncio.run(tool.execute("", {"how": how}))[0].text


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("half", "cut \ufffd"),
        ("whole", "\U0001f600 \\ud83d"),
        ("latin", "caf\ufffd"),
        ("null and return", "a\0b\rc"),
        ("long", "x" * 2_000_000),
    ],
)
def test_a_text_that_is_not_valid_reaches_the_model_made_valid(tool, how, text):
    assert call(tool, how) == text
    assert call(tool, "fine") == "fine"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("half in an error", "cut \ufffd"),
        ("a code that is a text", "E1|Failed to parse"),
        ("no message", "-32000|Failed to parse"),
        ("no reason", "does not say why"),
        ("refused", "refused"),
    ],
)
def test_an_error_in_any_form_is_the_call_s_own(tool, how, message):
    with pytest.raises(BadCall, match=message):
        call(tool, how)
    assert call(tool, "fine") == "fine"


@pytest.mark.parametrize("how", ["no content", "unknown content"])
def test_an_answer_of_another_form_makes_the_tool_unavailable_at_once(tool, how):
    with pytest.raises(ToolUnavailable, match="ValidationError"):
        call(tool, how)
    assert call(tool, "fine") == "fine"


def test_so_does_one_that_is_no_object_on_stdio():
    with pytest.raises(ToolUnavailable, match="ValidationError"):
        call(stdio(), "no object")


def test_a_description_is_made_valid(tool):
    assert tool.tool_schema.function.description == "cut \ufffd"


@pytest.mark.parametrize("ping", ["silent", "unknown"])
def test_an_error_of_a_server_that_answers_no_ping_leaves_the_others_theirs(ping, monkeypatch):
    """It may be busy with another's call, or know no ping."""
    monkeypatch.setattr(connection, "PING_SECONDS", 0.5)
    tool = stdio(ping)

    async def beside_another():
        slow = asyncio.ensure_future(tool.execute("", {"how": "slow"}))
        await asyncio.sleep(0.1)
        with contextlib.suppress(BadCall):
            await tool.execute("", {"how": "refused"})
            raise AssertionError("no BadCall")
        return (await slow)[0].text

    assert asyncio.run(beside_another()) == "fine"
