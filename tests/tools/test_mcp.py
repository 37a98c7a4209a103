"""MCP tools against real servers, over stdio and streamable HTTP: what they answer, and every way to lose them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
import pytest
import yaml
from click.testing import CliRunner
from free_port import free_port
from hang import HANG_SECONDS, wait_until
from verl.tools.tool_registry import load_all_tools

from verl_hdpo.cli.main import main
from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools import mcp_servers
from verl_hdpo.tools.base import schema_of
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.mcp import MCPTool
from verl_hdpo.tools.mcp_servers.server import Server
from verl_hdpo.tools.schema import Signature

pytestmark = pytest.mark.slow

SERVER = str(Path(__file__).with_name("demo_mcp_server.py"))
STDIO = {"command": sys.executable, "args": [SERVER]}


def make(tool, server=STDIO, **config):
    return MCPTool({"type": "native", "server": server, "tool": tool, **config})


def call(tool, **arguments):
    return asyncio.run(tool.execute("", arguments))[0]


def text(tool, **arguments):
    return call(tool, **arguments).text


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_schema_is_the_server_s():
    schema = make("add").tool_schema.model_dump(exclude_unset=True, exclude_none=True)["function"]
    assert (schema["name"], schema["description"]) == ("add", "Add two numbers.")
    properties = schema["parameters"]["properties"]
    assert schema["parameters"]["required"] == ["a"]
    assert properties["a"] == {"type": "integer", "description": "first", "title": "A"}
    assert properties["b"]["default"] == 2
    assert properties["tags"]["type"] == ["array", "null"]
    assert properties["tags"]["anyOf"][0] == {"type": "array", "items": {"type": "string"}}
    assert make("add", name="plus").name == "plus"


@pytest.mark.parametrize(
    ("parameter", "types"),
    [
        ({"type": "string"}, "string"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ["string", "null"]),
        ({"oneOf": [{"type": "string"}, {"$ref": "#/$defs/X"}]}, None),
        ({"enum": [1, "a"]}, None),
        ({}, None),
        (True, None),
    ],
)
def test_a_parameter_without_a_type_gets_one(parameter, types):
    schema = Signature.of_json_schema("x", "", {"properties": {"p": parameter}, "$defs": {"X": {"type": "string"}}})
    found = schema_of(None, schema).model_dump(exclude_unset=True, exclude_none=True)["function"]["parameters"]
    assert found["$defs"] == {"X": {"type": "string"}}
    kept = parameter if isinstance(parameter, dict) else {}
    assert found["properties"]["p"].items() >= kept.items()
    expected = types or ["string", "number", "integer", "boolean", "array", "object", "null"]
    assert found["properties"]["p"]["type"] == expected


def test_results():
    assert text(make("add"), a=1) == "3"
    assert text(make("papers")) == "the text of a\n[link: file:///b]"
    picture = call(make("picture"))
    assert (picture.text, picture.image) == ("[image left out]", None)
    picture = call(make("picture", images=True))
    assert picture.text == "" and [image.size for image in picture.image] == [(40, 30)]
    assert picture.image[0].getpixel((0, 0)) == (255, 0, 0)


def test_what_the_model_got_wrong_goes_back_to_it():
    with pytest.raises(BadCall, match="look_up"):
        call(make("look_up"), city="X")
    with pytest.raises(BadCall, match="valid integer"):
        call(make("add"), a="one")
    with pytest.raises(BadCall, match="JSON object, found list"):
        asyncio.run(make("add").execute("", [1]))
    before = text(make("pid"))
    with pytest.raises(BadCall, match="no character"):
        call(make("look_up"), city="\ud83d")
    assert text(make("pid")) == before, "half a surrogate pair does not end the session of the others"


@pytest.mark.parametrize("code", [-32000, -32001, -32600, -32601, -32602, -32603, -32700, -32099, 0, 1, 500])
def test_an_error_of_a_living_server_is_the_call_s_own(code):
    """A model that could provoke an outage, its own or others', would have a way out of the loss."""

    async def beside_others():
        others = [make("wait").execute("", {"seconds": 1.0}) for _ in range(7)]
        return await asyncio.gather(make("refuse").execute("", {"code": code}), *others, return_exceptions=True)

    before = text(make("pid"))
    refused, *others = asyncio.run(beside_others())
    assert isinstance(refused, BadCall) and f"refused with {code}" in str(refused)
    assert [response.text for response, _, _ in others] == ["waited"] * 7
    assert text(make("pid")) == before


def test_all_tools_and_event_loops_of_a_process_share_one_session():
    assert text(make("pid")) == text(make("pid", name="other"))


def test_a_call_that_takes_too_long_is_unavailable_and_the_session_lives_on():
    before = text(make("pid"))
    with pytest.raises(ToolUnavailable, match=r"tool wait: no answer within 0.2 seconds"):
        call(make("wait", deadline=0.2), seconds=30)
    assert text(make("pid")) == before


@pytest.mark.slow
def test_a_server_that_dies_is_started_again_and_no_call_runs_twice():
    async def three_at_once():
        calls = (
            make("wait").execute("", {"seconds": 30}),
            make("wait").execute("", {"seconds": 30}),
            kill.execute("", {}),
        )
        return await asyncio.gather(*calls, return_exceptions=True)

    kill, before = make("die"), text(make("pid"))
    for error in asyncio.run(three_at_once()):
        assert isinstance(error, ToolUnavailable) and "Connection closed" in str(error)
    after = text(make("pid"))
    assert after != before, "one call of die ended one server"
    wait_until(lambda: gone(int(before)))


def test_only_named_variables_reach_the_server(monkeypatch):
    monkeypatch.setenv("MCP_TOKEN", "for-the-server")
    monkeypatch.setenv("WANDB_API_KEY", "not-for-the-server")
    seen = text(make("environment", {**STDIO, "pass_env": ["MCP_TOKEN"]}))
    assert "for-the-server" in seen and "not-for-the-server" not in seen and "PATH" in seen


def test_configs_that_cannot_work():
    with pytest.raises(ToolConfigError, match=r"has no tool 'sub', only add, die,"):
        make("sub")
    with pytest.raises(ToolConfigError, match="either a command or a url"):
        make("add", {})
    with pytest.raises(ToolConfigError, match="cannot start /no/such/server: no such file"):
        make("add", {"command": "/no/such/server"})
    with pytest.raises(ConnectionError, match=r"http://127.0.0.1:9/mcp: .*attempts failed"):
        make("add", {"url": "http://127.0.0.1:9/mcp"})
    with pytest.raises(ToolConfigError, match="the environment variable NOT_SET_1 is not set"):
        make("add", {**STDIO, "pass_env": ["NOT_SET_1"]})


@pytest.mark.slow
def test_the_command_writes_a_yaml_that_loads(tmp_path):
    done = CliRunner().invoke(main, ["mcp", "tools", "--", STDIO["command"], SERVER])
    assert done.exit_code == 0, done.output
    (tmp_path / "tools.yaml").write_text(done.output)
    tools = {tool.name: tool for tool in load_all_tools(str(tmp_path / "tools.yaml"), None)}
    assert len(tools) == len(yaml.safe_load(done.output)["tools"]) == 11
    assert text(tools["add"], a=40) == "42"
    passed = ["mcp", "tools", "--pass-env", "HOME", "--", STDIO["command"], SERVER]
    assert yaml.safe_load(CliRunner().invoke(main, passed).stdout)["server"]["pass_env"] == ["HOME"]
    no_key = CliRunner().invoke(main, ["mcp", "tools", "--url", "http://host", "--header-env", "Authorization=NO_KEY"])
    assert no_key.exit_code == 2 and "NO_KEY" in no_key.output
    no_url = CliRunner().invoke(main, ["mcp", "tools", "--url", "host/mcp"])
    assert no_url.exit_code == 2 and "host/mcp" in no_url.output and no_url.output.startswith("Error: ")
    neither = CliRunner().invoke(main, ["mcp", "tools"])
    assert neither.exit_code == 2 and "--url or a command" in neither.output


@contextmanager
def http_server(port):
    process = subprocess.Popen([sys.executable, SERVER, str(port)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_streamable_http_down_and_up_again(monkeypatch):
    port = free_port()
    server = {"url": f"http://127.0.0.1:{port}/mcp", "headers_env": {"Authorization": "MCP_TOKEN"}}
    monkeypatch.setenv("MCP_TOKEN", "token-1")
    with http_server(port):
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        add, die, quick = make("add", server), make("die", server), make("add", server, deadline=1.0)
        assert text(add, a=1) == "3"
        with pytest.raises(BadCall, match="look_up"):
            call(make("look_up", server), city="X")
        with pytest.raises(ConnectionError):
            make("add", {**server, "headers_env": {}})
        with pytest.raises(ToolUnavailable):
            call(die)
    with pytest.raises(ToolUnavailable):
        call(quick, a=1)
    with http_server(port):
        assert text(add, a=1) == "3", "reached again, with pauses between the attempts"


WORKER = """
import sys, time
from verl_hdpo.tools.io_loop import wait_on_io_loop
from verl_hdpo.tools.mcp_servers.connection import Connection
from verl_hdpo.tools.mcp_servers.server import Server
connection = Connection(Server(command=sys.executable, args=[sys.argv[1]]))
for name in ("pid", "spawn_stubborn"):
    result = wait_on_io_loop(connection.call(name, {}, 60), 60)
    print("PID", result.content[0].text, flush=True)
if sys.argv[2] == "killed":
    time.sleep(600)
"""


@pytest.mark.parametrize("end", ["killed", "exits"])
@pytest.mark.slow
def test_no_server_process_outlives_the_worker(end):
    """Not even a child of the server's that left its session and ignores SIGTERM, as the server itself does."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER, SERVER, end], stdout=subprocess.PIPE, text=True)
    pids = []
    try:
        while len(pids) < 2:
            line = worker.stdout.readline()
            assert line, "the worker ended early"
            if line.startswith("PID"):
                pids.append(int(line.split()[1]))
        if end == "killed":
            worker.kill()
        worker.wait(HANG_SECONDS)
        wait_until(lambda: all(map(gone, pids)))
    finally:
        worker.kill()
        worker.communicate()
        for pid in pids:
            if not gone(pid):
                os.kill(pid, 9)


HANGING_CLOSE = """
import sys
from verl_hdpo.tools.io_loop import io_loop, wait_on_io_loop
from verl_hdpo.tools.mcp_servers.connection import Connection
from verl_hdpo.tools.mcp_servers.server import Server
connection = Connection(Server.model_validate_json(sys.argv[1]))
def call(tool):
    return wait_on_io_loop(connection.call(tool, {}, 600), 600).content[0].text
first = call("hang_on_close")
io_loop().call_soon_threadsafe(connection._drop, connection._session_now[1])
print(first, call("hang_on_close"))
"""


@pytest.mark.parametrize("way", ["stdio", "http"])
def test_a_server_that_hangs_on_close_holds_nobody_up(way, monkeypatch):
    """Neither the calls that follow, which get a session of their own, nor the end of the worker."""
    monkeypatch.setenv("MCP_TOKEN", "token-1")
    port = free_port()
    with http_server(port) if way == "http" else nullcontext():
        server = Server(url=f"http://127.0.0.1:{port}/mcp", headers_env={"Authorization": "MCP_TOKEN"})
        if way == "stdio":
            server = Server(**STDIO)
        else:
            wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        worker = [sys.executable, "-c", HANGING_CLOSE, server.model_dump_json()]
        done = subprocess.run(worker, stdout=subprocess.PIPE, text=True, timeout=HANG_SECONDS, check=True)
    first, second = map(int, done.stdout.split())
    assert (first == second) == (way == "http")
    wait_until(lambda: gone(first) and gone(second))


TETHER = [sys.executable, "-I", "-S", str(Path(mcp_servers.__file__).with_name("tether.py"))]


def test_the_tether_passes_input_output_and_status_through():
    done = subprocess.run([*TETHER, "sh", "-c", "cat; exit 7"], input="text", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (7, "text")
    done = subprocess.run([*TETHER, "/no/such/program"], capture_output=True, text=True)
    assert done.returncode == 127 and "cannot start /no/such/program" in done.stderr


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_the_command_ends_with_its_tether(signal_number):
    command = [*TETHER, "sh", "-c", "trap '' TERM; echo $$; while true; do sleep 1; done"]
    tether = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pid = int(tether.stdout.readline())
    tether.send_signal(signal_number)
    assert tether.wait(HANG_SECONDS) in (128 + signal_number, -signal_number)
    wait_until(lambda: gone(pid))
    tether.stdout.close()
