"""Tools of a server from verl's tool yaml, through ``hdpo_tool_agent`` and verl's own ``tool_agent``."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import signal
import time

import psutil
import pytest
from free_port import free_port
from hang import HANG_SECONDS
from local_service import Answer, serving
from PIL import Image
from scripted_loop import FINAL, run_loop
from tiny import tiny_tokenizer
from tool_servers import TOKEN, as_process, http, in_thread, metric
from verl.experimental.agent_loop.tool_agent_loop import AgentData, ToolAgentLoop
from verl.tools.tool_registry import load_all_tools

from verl_hdpo.adapters.agent_loop import HDPOToolAgentLoop
from verl_hdpo.adapters.served_tools import load_served_tools
from verl_hdpo.outcomes.ledger import CALL_STATUSES
from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.server import TOKEN_ENV

pytestmark = pytest.mark.slow

LOOPS = pytest.mark.parametrize("cls", [HDPOToolAgentLoop, ToolAgentLoop], ids=["hdpo_tool_agent", "tool_agent"])
TOOLS = """
tools:
  - class_name: verl_hdpo.tools.python.PythonTool
    config: {type: native, modules: [PIL.Image], spare_sessions: 0, max_sessions: 8}
  - class_name: verl_hdpo.tools.calculator.CalculatorTool
    config: {type: native}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "served.yaml").write_text(TOOLS + "server: {lease_seconds: 4, idle_seconds: 3600}\n")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """Process and URL."""
    with as_process(folder / "served.yaml", folder / "log", port=free_port()) as server:
        yield server
    assert TOKEN not in (folder / "log").read_text()


@pytest.fixture
def url(server):
    return server[1]


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv(TOKEN_ENV, TOKEN)


def remote(folder, *urls, tools=("python", "calculator"), **config):
    server = json.dumps({"urls": urls, "reconnect_seconds": 1})
    entries = [
        {"class_name": "verl_hdpo.tools.remote.RemoteTool", "config": {"type": "native", "tool": tool, **config}}
        for tool in tools
    ]
    for entry in entries:
        entry["config"]["server"] = "${server}"
    (folder / "remote.yaml").write_text(f"server: {server}\ntools: {json.dumps(entries)}\n")
    return load_all_tools(str(folder / "remote.yaml"), None)


def call(name, **arguments):
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def run(tools, cls, *turns, sample=None, **config):
    """Output of a trajectory, and the tools' answers in each turn."""
    script = [turn if isinstance(turn, str) else "".join(turn) for turn in turns]
    output, server, _ = run_loop([*script, FINAL], tools, cls, sample, max_tool_response_length=2000, **config)
    texts = [tiny_tokenizer().decode(b[len(a) :]) for a, b in itertools.pairwise(server.prompts)]
    return output, [[p.partition("\n</tool_response>")[0] for p in t.split("<tool_response>\n")[1:]] for t in texts]


def counts(output):
    ledger = output.extra_fields["tool_ledger"]
    tools = ledger["tools"].items()
    return {name: {k: tally[k] for k in CALL_STATUSES if tally[k]} for name, tally in tools}, ledger["unavailable"]


def agent_data(*images):
    parts = [{"type": "image", **image} for image in images]
    return AgentData(
        messages=[{"role": "user", "content": parts}], image_data=None, video_data=None, audio_data=None,
        mm_processor_kwargs=None, metrics={}, request_id="r", tools_kwargs={},
    )  # fmt: skip


def execute(tool, data, **arguments):
    async def once():
        instance, _ = await tool.create(create_kwargs={})
        try:
            return (await tool.execute(instance, arguments, agent_data=data))[0]
        finally:
            await tool.release(instance)

    return asyncio.run(once())


def until(condition):
    ends = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < ends, "it does not come true"
        time.sleep(0.05)


def test_a_tool_looks_as_it_does_without_a_server(folder, url):
    here = {tool.name: tool.tool_schema for tool in load_all_tools(str(folder / "served.yaml"), None)}
    there = {tool.name: tool.tool_schema for tool in remote(folder, url)}
    plain = [
        {name: s.model_dump(exclude_unset=True, exclude_none=True) for name, s in t.items()} for t in (here, there)
    ]
    assert plain[0] == plain[1]
    assert remote(folder, url, tools=["calculator"], name="sums")[0].name == "sums"


@LOOPS
@pytest.mark.slow
def test_calls_end_as_they_do_without_a_server(folder, url, cls):
    turns = (
        [call("python", code="x = 20"), call("python", code="x += 1"), call("python", code="x *= 2")],
        [call("python", code="x"), call("calculator", expression="6*7")],
        [call("calculator", expression="1/0"), call("python", source="1"), call("python", code="1 / 0")],
    )
    results = []
    for tools in (remote(folder, url), load_all_tools(str(folder / "served.yaml"), None)):
        output, answers = run(tools, cls, *turns)
        results.append((answers, counts(output) if cls is HDPOToolAgentLoop else None))
    assert results[0] == results[1]
    assert results[0][0][1] == ["42", "42"] and "division by zero" in results[0][0][2][0]
    gc.collect()
    until(lambda: metric(url, "verl_hdpo_tool_sessions") == 0)
    assert metric(url, 'verl_hdpo_tool_sessions_closed_total{reason="finished"}') >= 1


def test_arguments_arrive_as_the_model_wrote_them(folder, url):
    python, calculator = remote(folder, url)
    deep = json.loads("[" * 300 + "]" * 300)
    for arguments in ({"code": float("nan")}, {"code": 10**40}, {"code": deep}, {"code": None, "x": []}, {}):
        with pytest.raises(BadCall):
            execute(python, agent_data(), **arguments)
    with pytest.raises(BadCall, match="no character"):
        execute(python, agent_data(), code="\ud800")
    assert execute(calculator, agent_data(), expression="1+1-1").text == "1"
    assert execute(python, agent_data(), code="'é\u4e2d\U0001f600'").text == "'é\u4e2d\U0001f600'"


def test_images_go_there_once_and_come_back(folder, url, tmp_path):
    Image.new("RGB", (90, 60), "red").save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    python = remote(folder, url)[0]
    trajectory = agent_data({"image": Image.open(tmp_path / "a.jpg"), "bytes": data})
    assert execute(python, trajectory, code="image_1.size").text == "(90, 60)"
    answer = execute(python, trajectory, code="image_1.crop((0, 0, 30, 20))")
    assert [(image.size, image.mode) for image in answer.image] == [((30, 20), "RGB")]
    trajectory.messages.append({"role": "tool", "content": [{"type": "image", "image": answer.image[0]}]})
    assert execute(python, trajectory, code="image_1.size, image_2.size").text == "((90, 60), (30, 20))"
    with pytest.raises(ToolUnavailable, match="is str, not a PIL image"):
        execute(python, agent_data({"image": "https://example.org/a.png"}), code="1")


def test_only_what_a_tool_needs_is_sent(folder):
    secret = "the ground truth"
    schema = {"type": "function", "function": {"name": "t", "description": "", "parameters": {}}}
    needs = {"create_kwargs": ["key"], "images": False}

    def answer(asked):
        if asked.path == "/tools":
            return Answer({"tools": [{"name": "t", "schema": schema, "needs": needs}]})
        return Answer({"lease_seconds": 60} if asked.method == "PUT" else {"status": "ok", "text": "fine"})

    with serving(answer) as (service, url):
        tools = remote(folder, url, tools=["t"])
        kwargs = {"key": "k7", "ground_truth": secret}
        sample = {
            "tools_kwargs": {"t": {"create_kwargs": kwargs, "calc_reward_kwargs": {"ground_truth": secret}}},
            "reward_model": {"style": "rule", "ground_truth": secret},
            "extra_info": {"answer": secret},
        }
        _, answers = run(tools, HDPOToolAgentLoop, call("t", a=1), sample=sample)
        assert answers == [["fine"]]
        (sent,) = [asked.body for asked in service.asked if "/calls/" in asked.path]
        assert sent["create_kwargs"] == {"key": "k7"}
        assert set(sent) == {"tool", "arguments", "create_kwargs", "images_before", "images", "received"}
        assert secret not in "".join(map(repr, service.asked))


def test_the_loop_s_own_time_limit_ends_the_call_there(folder, url):
    output, answers = run(
        remote(folder, url), HDPOToolAgentLoop, call("python", code="x = 1"),
        call("python", code="import time; time.sleep(60)"), call("python", code="x"), hdpo={"tool_timeout": 3},
    )  # fmt: skip
    assert "did not finish within 3 seconds" in answers[1][0]
    assert answers[2][0].startswith("[This is a new interpreter")
    assert counts(output) == ({"python": {"executed": 2, "timed_out": 1}}, 0)


@pytest.mark.slow
def test_a_session_is_kept_while_its_client_lives_and_closed_when_it_vanishes(folder, url):
    python, trajectory = remote(folder, url)[0], agent_data()
    execute(python, trajectory, code="x = 1")
    vanished = {"tool": "python", "arguments": json.dumps({"code": "import time; time.sleep(600)"})}
    name = 'verl_hdpo_tool_sessions_closed_total{reason="vanished"}'
    before = metric(url, name)
    with http(url) as client:
        client.put("/sessions/gone").raise_for_status()
        assert client.post("/sessions/gone/calls/1", json=vanished).status_code in (202, 410)
    until(lambda: metric(url, name) == before + 1)
    assert execute(python, trajectory, code="x").text == "1"
    with http(url) as client:
        assert client.post("/sessions/gone/calls/2", json=vanished).status_code == 404


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"tools": ["pyton"]}, ToolConfigError, "no tool 'pyton', only calculator, python"),
        ({"tool_name": "x"}, ToolConfigError, "unknown setting config.tool_name"),
    ],
)
def test_a_bad_config_is_refused(folder, url, change, error, message):
    with pytest.raises(error, match=message):
        remote(folder, url, **change)


def test_a_run_does_not_start_without_token_or_server(folder, monkeypatch):
    with pytest.raises(ConnectionError, match="no tool server can be used"):
        remote(folder, "http://127.0.0.1:9")
    monkeypatch.delenv(TOKEN_ENV)
    with pytest.raises(ToolConfigError, match=f"{TOKEN_ENV} with the tool server's token is not set"):
        remote(folder, "http://127.0.0.1:10")


@pytest.mark.slow
def test_a_killed_server_is_no_call_of_the_model_and_leaves_nothing(folder, server):
    """The last test of this file: it ends the server that the others share."""
    process, url = server
    tools, lost = remote(folder, url), agent_data()
    python = tools[0]
    execute(python, lost, code="x = 1")
    below = psutil.Process(process.pid).children(recursive=True)
    assert below
    for one in below:
        with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
            assert TOKEN_ENV not in one.environ()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ToolUnavailable, match="gives no answer"):
        execute(python, lost, code="x")
    output, answers = run(tools, HDPOToolAgentLoop, call("calculator", expression="1+1"))
    assert "gives no answer" in answers[0][0] and counts(output) == ({}, 1)
    assert not psutil.wait_procs(below, HANG_SECONDS)[1]
    served, _ = load_served_tools(folder / "served.yaml")
    with in_thread(served, port=int(url.rpartition(":")[2])):
        for _ in range(2):
            with pytest.raises(ToolUnavailable, match="the server has been restarted"):
                execute(python, lost, code="x")
        assert execute(python, agent_data(), code="2 + 2").text == "4"
