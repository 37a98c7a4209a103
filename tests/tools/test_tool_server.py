"""The tool server over real sockets: its token, its sessions, their calls, and its limits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import resource
import threading
import time

import httpx
import pytest
from click.testing import CliRunner
from hang import HANG_SECONDS
from local_service import Answer, serving
from tool_servers import TOKEN, breaking_line, http, in_thread, metric, plain_tool

from verl_hdpo.cli.main import main
from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.io_loop import wait_on_io_loop
from verl_hdpo.tools.server import TOKEN_ENV
from verl_hdpo.tools.server.client import ToolClient
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.server.placement import by_preference
from verl_hdpo.tools.server.settings import ClientSettings

pytestmark = pytest.mark.slow

SECONDS = HANG_SECONDS


class Trajectory:
    """Stands for verl's ``AgentData``."""


class Gate:
    """A tool that notes its calls and lets each of them end when it is told to."""

    def __init__(self, is_open=False):
        self.began, self._open = [], threading.Event()
        if is_open:
            self._open.set()

    def open(self):
        self._open.set()

    async def __call__(self, arguments):
        self.began.append(arguments)
        while not self._open.is_set():
            await asyncio.sleep(0.01)
        return f"{arguments} was call {len(self.began)}"

    def wait_for(self, calls):
        until(lambda: len(self.began) >= calls)


def until(condition):
    ends = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < ends, "it does not come true"
        time.sleep(0.01)


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        yield pool


def client_of(monkeypatch, *urls, **settings):
    monkeypatch.setenv(TOKEN_ENV, TOKEN)

    async def make():
        return ToolClient(ClientSettings(urls=urls, **settings))

    return wait_on_io_loop(make(), SECONDS)


def ask(client, trajectory, tool, arguments=None):
    return wait_on_io_loop(client.call(trajectory, tool, arguments, {}), SECONDS).text


def body(tool, arguments=None, **more):
    return {"tool": tool, "arguments": json.dumps(arguments), **more}


def post(url, session, call, tool, arguments=None, **more):
    with http(url) as client:
        client.put(f"/sessions/{session}").raise_for_status()
        return client.post(f"/sessions/{session}/calls/{call}", json=body(tool, arguments, **more))


def text(response):
    assert response.status_code == 200, response.text
    return response.json()["text"]


ROUTES = ["GET /metrics", "GET /tools", "PUT /sessions/s", "DELETE /sessions/s", "POST /renew", "GET /docs", "GET /no"]


@pytest.fixture(scope="module")
def guarded():
    gate = Gate(is_open=True)
    with in_thread([plain_tool("gate", gate)]) as url:
        yield gate, url


@pytest.mark.parametrize("route", [*ROUTES, *(f"{m} /sessions/s/calls/c" for m in ("POST", "GET", "DELETE"))])
def test_nothing_but_health_answers_without_the_token(guarded, route):
    gate, url = guarded
    method, path = route.split()
    with httpx.Client(base_url=url, verify=False) as client:
        for given in (None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN):
            headers = {} if given is None else {"Authorization": given}
            response = client.request(method, path, headers=headers, json=body("gate"))
            assert (response.status_code, TOKEN in response.text) == (401, False)
        assert client.get("/health").json() == {"status": "ok"}
    assert gate.began == [] and metric(url, "verl_hdpo_tool_sessions") == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "is not set"), ("", "holds no token"), ("short", "at least 16"), ("x" * 20 + " y", "printable ASCII")],
)
def test_a_server_without_a_token_does_not_start(tmp_path, value, message):
    (tmp_path / "tools.yaml").write_text("tools: []")
    done = CliRunner().invoke(main, ["tool-server", "--config", f"{tmp_path}/tools.yaml"], env={TOKEN_ENV: value})
    assert done.exit_code == 2 and message in done.output
    if value:
        assert value not in done.output
        (tmp_path / "token").write_text(value)
        (tmp_path / "token").chmod(0o600)
        arguments = ["tool-server", "--config", f"{tmp_path}/tools.yaml", "--token-file", f"{tmp_path}/token"]
        assert message in CliRunner().invoke(main, arguments).output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tools: [", "is not valid YAML"),
        ("tools: [{class_name: nowhere.Tool, config: {type: native}}]", "there is no module nowhere in"),
        (
            "tools: [{class_name: verl_hdpo.tools.mcp.Nothing, config: {type: native}}]",
            "has no Nothing; it has MCPTool",
        ),
        ("tools: []", "no tools"),
    ],
)
def test_a_yaml_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "tools.yaml").write_text(text)
    done = CliRunner().invoke(main, ["tool-server", "--config", f"{tmp_path}/tools.yaml"], env={TOKEN_ENV: TOKEN})
    assert done.exit_code == 2 and f"{tmp_path}/tools.yaml" in done.output and message in done.output


def test_a_server_takes_all_the_descriptors_that_it_may_have(tmp_path, monkeypatch):
    config = tmp_path / "tools.yaml"
    config.write_text("tools: [{class_name: verl_hdpo.tools.calculator.CalculatorTool, config: {type: native}}]")
    before, found = resource.getrlimit(resource.RLIMIT_NOFILE), []
    monkeypatch.setattr("uvicorn.Server.run", lambda *a, **k: found.append(resource.getrlimit(resource.RLIMIT_NOFILE)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
    try:
        done = CliRunner().invoke(main, ["tool-server", "--config", str(config)], env={TOKEN_ENV: TOKEN})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert done.exit_code == 0, done.output
    assert found == [(before[1], before[1])]


def test_a_client_with_another_token_finds_the_tool_unavailable(monkeypatch):
    with in_thread([plain_tool("gate", Gate(is_open=True))]) as url:
        client = client_of(monkeypatch, url)
        monkeypatch.setenv("OTHER", "another-token-altogether")
        other = client_of(monkeypatch, url, token_env="OTHER")
        assert ask(client, Trajectory(), "gate", 1) == "1 was call 1"
        with pytest.raises(ToolUnavailable, match="answered 401"):
            ask(other, Trajectory(), "gate")
        with pytest.raises(ConnectionError, match="answered 401"):
            wait_on_io_loop(other.tools(), SECONDS)


def test_a_trajectory_stays_with_its_server(monkeypatch):
    gates = [Gate(is_open=True) for _ in range(2)]
    with in_thread([plain_tool("gate", gates[0])]) as a, in_thread([plain_tool("gate", gates[1])]) as b:
        client = client_of(monkeypatch, a, b)
        trajectories = [Trajectory() for _ in range(16)]
        for _ in range(3):
            for number, trajectory in enumerate(trajectories):
                ask(client, trajectory, "gate", number)
        met = [set(gate.began) for gate in gates]
        assert met[0] | met[1] == set(range(16)) and not met[0] & met[1]
        assert met[0] and met[1], "2 in 65536 that all 16 choose the same one"
        assert sorted(gates[0].began + gates[1].began) == sorted([*range(16)] * 3)


def test_servers_are_preferred_evenly_and_a_lost_one_moves_its_own_trajectories_only():
    servers = ["http://a", "http://b", "http://c"]
    first = [by_preference(servers, str(number))[0] for number in range(3000)]
    assert all(850 < first.count(server) < 1150 for server in servers)  # 1000 +- 26
    without_c = [by_preference(servers[:2], str(number))[0] for number in range(3000)]
    assert all(a == b for a, b in zip(first, without_c, strict=True) if a != "http://c")


def test_a_trajectory_begins_on_another_server_when_its_own_is_down(monkeypatch):
    with in_thread([plain_tool("gate", Gate(is_open=True))]) as url:
        client = client_of(monkeypatch, "http://127.0.0.1:9", url, reconnect_seconds=0.1)
        assert len({ask(client, Trajectory(), "gate") for _ in range(8)}) == 8


def test_the_same_id_runs_once(pool):
    gate = Gate()
    with in_thread([plain_tool("gate", gate)]) as url:
        asked = [pool.submit(post, url, "s", "c", "gate", number) for number in range(8)]
        until(lambda: metric(url, "verl_hdpo_tool_repeats_total") == 7)
        gate.open()
        answers = {text(one.result()) for one in asked}
        assert answers == {text(post(url, "s", "c", "gate", 99))} == {f"{gate.began[0]} was call 1"}
        assert len(gate.began) == 1


def test_a_result_is_kept_for_a_while_and_its_id_for_good():
    gate = Gate(is_open=True)
    with in_thread([plain_tool("gate", gate)]) as url:
        for number in range(6):
            post(url, "s", str(number), "gate", number)
        assert [post(url, "s", str(number), "gate").status_code for number in range(6)] == [410] * 2 + [200] * 4
        assert gate.began == [*range(6)]


def test_a_broken_line_costs_a_retry_and_runs_nothing_twice(monkeypatch):
    gate, cut = Gate(is_open=True), []

    def is_cut(line):
        """The first answer to each request."""
        is_first = line not in cut
        cut.append(line)
        return is_first

    with in_thread([plain_tool("gate", gate)]) as url, breaking_line(url, is_cut) as line:
        client, trajectory = client_of(monkeypatch, line), Trajectory()
        assert [ask(client, trajectory, "gate", number) for number in range(3)] == [
            f"{number} was call {number + 1}" for number in range(3)
        ]
        assert len(cut) == 2 * 4 and metric(url, "verl_hdpo_tool_repeats_total") == 3


def test_a_call_longer_than_a_poll_is_asked_for_again(monkeypatch, pool):
    gate = Gate()
    with in_thread([plain_tool("gate", gate)], poll_seconds=0.05) as url:
        asked = pool.submit(ask, client_of(monkeypatch, url), Trajectory(), "gate", 1)
        until(lambda: metric(url, "verl_hdpo_tool_running" + '{tool="gate"}') == 1)
        time.sleep(0.2)
        gate.open()
        assert asked.result() == "1 was call 1"


def test_sessions_take_turns_whatever_each_of_them_sends(pool):
    gate = Gate()
    with in_thread([plain_tool("gate", gate)], max_running=1) as url:
        asked = []
        for call in ["a1", "a2", "a3", "a4", "b1", "b2", "c1"]:
            asked.append(pool.submit(post, url, call[0], call, "gate", call))
            until(lambda: metric(url, 'verl_hdpo_tool_waiting{tool="gate"}') + len(gate.began) == len(asked))
        gate.open()
        for one in asked:
            text(one.result())
        assert gate.began == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_a_slow_tool_slows_its_own_trajectories_only(monkeypatch, pool):
    slow, fast = Gate(), Gate(is_open=True)
    with in_thread([plain_tool("slow", slow), plain_tool("fast", fast)], max_running=2) as url:
        client = client_of(monkeypatch, url)
        waiting = [pool.submit(ask, client, Trajectory(), "slow", number) for number in range(6)]
        slow.wait_for(2)
        for number in range(10):
            ask(client, Trajectory(), "fast", number)
        assert len(slow.began) == 2
        slow.open()
        assert len({one.result() for one in waiting}) == 6


def test_no_room_is_said_with_the_time_to_wait(monkeypatch, pool):
    gate = Gate()
    limits = {"max_sessions": 2, "max_running": 1, "max_waiting": 3, "max_waiting_per_session": 2}
    with in_thread([plain_tool("gate", gate)], **limits) as url, http(url) as client:
        asked = []
        for call in ("a1", "a2", "b1"):
            asked.append(pool.submit(post, url, call[0], call, "gate"))
            until(lambda: metric(url, 'verl_hdpo_tool_waiting{tool="gate"}') + len(gate.began) == len(asked))
        refused = [post(url, "a", "a3", "gate"), post(url, "b", "b2", "gate"), client.put("/sessions/c")]
        assert [one.status_code for one in refused] == [429, 503, 503]
        assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
        late = pool.submit(ask, client_of(monkeypatch, url), Trajectory(), "gate", "late")
        gate.open()
        for one in asked:
            text(one.result())
        client.delete("/sessions/a")
        assert late.result() == "late was call 4"
        assert text(post(url, "b", "b2", "gate")).endswith("call 5"), "a refused call may come again"


def test_a_proxy_in_front_of_a_dead_server_is_an_outage_and_not_a_full_one(monkeypatch):
    with serving(Answer({}, 503)) as (_, url):
        client = client_of(monkeypatch, url, reconnect_seconds=0.5, deadline=50)
        with pytest.raises(ToolUnavailable, match="gives no answer"):
            ask(client, Trajectory(), "gate")


@pytest.mark.slow
def test_what_is_sent_in_the_background_is_given_up(monkeypatch):
    def answer(asked):
        if asked.method == "DELETE":
            return Answer({}, 503, {"Retry-After": "0"})
        return Answer({"lease_seconds": 60} if asked.method == "PUT" else {"status": "ok", "text": "fine"})

    with serving(answer) as (service, url):
        client = client_of(monkeypatch, url, deadline=5)
        assert ask(client, Trajectory(), "gate") == "fine"
        until(lambda: any(asked.method == "DELETE" for asked in service.asked))
        until(lambda: not client._in_background)


def test_requests_that_are_none(pool):
    gate = Gate(is_open=True)
    needs = Needs(create_kwargs=("key",))
    with in_thread([plain_tool("gate", gate, needs)], max_request_mb=1) as url, http(url) as client:
        assert text(post(url, "s", "1", "gate", create_kwargs={"key": 1}))
        for more in ({"reward_model": {}}, {"create_kwargs": {"ground_truth": 1}}, {"images": [{"data": ""}]}):
            refused = post(url, "s", "2", "gate", **more)
            assert refused.status_code == 422, more
        assert post(url, "s", "2", "another").json()["error"] == "no tool 'another' here, only gate"
        assert post(url, "s", "2", "gate", "x" * (1 << 20)).status_code == 413
        assert client.post("/sessions/never/calls/1", json=body("gate")).status_code == 404
        assert len(gate.began) == 1 and metric(url, 'verl_hdpo_tool_refused_total{status="422"}') == 4


def test_an_answer_that_is_too_long_is_an_outage(monkeypatch):
    async def flood(arguments):
        return "x" * (2 << 20)

    with in_thread([plain_tool("flood", flood)], max_response_mb=1) as url:
        with pytest.raises(ToolUnavailable, match="over 1 MiB"):
            ask(client_of(monkeypatch, url), Trajectory(), "flood")
        assert metric(url, 'verl_hdpo_tool_calls_total{outcome="unavailable",tool="flood"}') == 1


@pytest.mark.slow
def test_a_session_ends_with_its_trajectory_or_after_a_while_without_a_call(monkeypatch):
    closed = 'verl_hdpo_tool_sessions_closed_total{reason="%s"}'
    with in_thread([plain_tool("gate", Gate(is_open=True))], idle_seconds=3) as url:
        client = client_of(monkeypatch, url)
        ask(client, Trajectory(), "gate")
        until(lambda: metric(url, closed % "finished") == 1)
        trajectory = Trajectory()
        ask(client, trajectory, "gate")
        until(lambda: metric(url, closed % "idle") == 1)
        for _ in range(2):
            with pytest.raises(ToolUnavailable, match="no such session"):
                ask(client, trajectory, "gate")
        assert metric(url, "verl_hdpo_tool_sessions") == 0


@pytest.mark.slow
def test_a_vanished_client_s_call_is_cancelled(pool):
    gate, cancelled = Gate(), []

    async def watched(arguments):
        try:
            return await gate(arguments)
        except asyncio.CancelledError:
            cancelled.append(arguments)
            raise

    with in_thread([plain_tool("gate", watched)], lease_seconds=5) as url:
        assert post(url, "s", "1", "gate", 7).status_code == 410
        until(lambda: cancelled == [7])
        assert metric(url, 'verl_hdpo_tool_sessions_closed_total{reason="vanished"}') == 1


def test_a_cancelled_call_does_not_run_later():
    gate = Gate(is_open=True)
    with in_thread([plain_tool("gate", gate)]) as url, http(url) as client:
        client.put("/sessions/s")
        client.delete("/sessions/s/calls/1")
        assert post(url, "s", "1", "gate").status_code == 410
        assert gate.began == []


def test_past_the_deadline_the_call_is_cancelled(monkeypatch):
    gate = Gate()
    with in_thread([plain_tool("gate", gate)]) as url:
        with pytest.raises(ToolUnavailable, match=r"within 0.5 seconds"):
            ask(client_of(monkeypatch, url, deadline=0.5), Trajectory(), "gate")
        until(lambda: metric(url, 'verl_hdpo_tool_calls_total{outcome="cancelled",tool="gate"}') == len(gate.began))
