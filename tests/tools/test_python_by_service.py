"""The python tool with a service that speaks SandboxFusion's API in place of a sandbox of its own."""

import asyncio
import base64
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from local_service import Answer, serving
from PIL import Image

from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.io_loop import wait_on_io_loop
from verl_hdpo.tools.python import PythonTool

pytestmark = pytest.mark.slow


def run_code(asked):
    """``POST /run_code`` as SandboxFusion answers it (sandbox/server/sandbox_api.py and sandbox/runners/base.py)."""
    assert (asked.method, asked.path, asked.body["language"]) == ("POST", "/run_code", "python")
    with tempfile.TemporaryDirectory() as directory:
        for name, data in asked.body["files"].items():
            (Path(directory) / name).write_bytes(base64.b64decode(data))
        program = Path(directory) / "program.py"
        program.write_text(asked.body["code"], encoding="utf-8")
        began = time.monotonic()
        ran = {"status": "Finished", "return_code": None}
        process = subprocess.Popen(
            [sys.executable, str(program)],
            cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            stdout, stderr = process.communicate(asked.body["stdin"].encode(), timeout=asked.body["run_timeout"])
            ran["return_code"] = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            ran["status"] = "TimeLimitExceeded"
    ran |= {"stdout": stdout.decode(), "stderr": stderr.decode(), "execution_time": time.monotonic() - began}
    status = "Success" if ran["return_code"] == 0 else "Failed"
    body = {"status": status, "message": "", "compile_result": None, "run_result": ran, "files": {}}
    return Answer({**body, "executor_pod_name": None})


class Flaky:
    """A service whose next answers are these, and then real ones; the first program is always run."""

    def __init__(self):
        self.next = []

    def __call__(self, asked):
        return self.next.pop(0) if self.next else run_code(asked)


@pytest.fixture(scope="module")
def service():
    flaky = Flaky()
    with serving(flaky) as (service, url):
        yield flaky, service, url


@pytest.fixture
def tool(service):
    flaky, found, url = service
    flaky.next.clear()
    tool = PythonTool({"type": "native", "runner": {"url": url}, "timeout": 20, "wait_seconds": 3})
    found.asked.clear()
    return tool


class Conversation:
    """As much of verl's AgentData as the tool reads."""

    def __init__(self, *images):
        self.messages = [{"role": "user", "content": [{"type": "image", "image": image} for image in images]}]
        self.image_data = list(images)


def execute(tool, code, data=None):
    response, _, _ = asyncio.run(tool.execute("none", {"code": code}, agent_data=data or Conversation()))
    return response.text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("print(1)\n2", "1\n2"),
        ("x = 1", "[no output]"),
        ("None", "[no output]"),
        ("'ü€😀{}'", "'ü€😀{}'"),
        ("def f():\n    return __name__\nf()", "'__main__'"),
        ("import sys; sys.stdout.write('a'); print('b', file=sys.stderr)", "a\nb"),
        ("print('\"\\'\\\\')", "\"'\\"),
    ],
)
def test_code_runs_like_a_notebook_cell(tool, code, text):
    assert execute(tool, code) == text


def test_every_call_starts_anew_and_the_model_is_told(tool):
    data = Conversation()
    execute(tool, "x = 1", data)
    assert "NameError: name 'x' is not defined" in execute(tool, "x", data)
    assert "starts anew" in tool.tool_schema.function.description


@pytest.mark.parametrize(
    ("code", "last_line"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("print(", "SyntaxError: '(' was never closed"),
        ("input()", "EOFError: EOF when reading a line"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import os; os._exit(3)", "The program ended with return code 3."),
        ("import os; os.kill(os.getpid(), 11)", "The program ended with return code -11."),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_the_code_s_own_errors_are_text(tool, code, last_line):
    assert execute(tool, code).splitlines()[-1] == last_line


def test_a_traceback_shows_the_code_and_nothing_of_the_service(tool):
    text = execute(tool, "def f():\n    return 1 / 0\nprint('so far')\nf()")
    assert text.startswith("so far\nTraceback")
    assert [line.strip() for line in text.splitlines() if "File" in line] == [
        'File "<call>", line 4, in <module>',
        'File "<call>", line 2, in f',
    ]
    assert "    return 1 / 0" in text
    assert "File" not in execute(tool, "1 +\n").replace('File "<call>"', "")


def test_out_of_time(service):
    tool = PythonTool({"type": "native", "runner": {"url": service[2]}, "timeout": 2})
    text = execute(tool, "print('a', flush=True)\nwhile True: pass")
    assert text == "a\n[The code was interrupted after 2 seconds.]"


def test_images_are_there_in_every_call(tool):
    data = Conversation(Image.new("RGB", (30, 20), (1, 2, 3)), Image.new("L", (5, 6)))
    for _ in range(2):
        assert (
            execute(tool, "image_1.size, image_1.getpixel((0, 0)), image_2.mode", data) == "((30, 20), (1, 2, 3), 'L')"
        )


def test_long_output_is_cut(service):
    tool = PythonTool({"type": "native", "runner": {"url": service[2]}, "limits": {"output_chars": 100}})
    assert execute(tool, "print('x' * 1000)") == "x" * 100 + "\n... [901 more bytes not shown]"


def test_what_is_sent(service):
    config = {"runner": {"url": service[2] + "/run_code/"}, "timeout": 7, "limits": {"memory_mb": 123}}
    execute(PythonTool({"type": "native", **config}), "1")
    body = service[1].asked[-1].body
    assert (body["run_timeout"], body["memory_limit_MB"], body["files"], body["stdin"]) == (7, 123, {}, "")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_service_that_is_busy_is_asked_again(tool, service, status):
    service[0].next[:] = [Answer({}, status=status), Answer({}, status=status, headers={"Retry-After": "1"})]
    assert execute(tool, "6 * 7") == "42"
    assert len(service[1].asked) == 3


SANDBOX_ERROR = {"status": "SandboxError", "message": "no sandbox today", "run_result": None}
OUTAGES = {
    "busy": [Answer({}, status=429)] * 50,
    "broken": [Answer({}, status=500)] * 50,
    "hung up": [Answer(None)] * 50,
    "no json": [Answer(b"<html>")] * 50,
    "refused": [Answer({"detail": "no"}, status=401)],
    "unknown": [Answer({}, status=404)],
    "its own error": [Answer(SANDBOX_ERROR)],
    "another shape": [Answer({"status": "Success"})],
    "a list": [Answer([])],
    "nothing ran": [Answer({"status": "Success", "message": "", "run_result": None})],
    "no return code": [Answer({"status": "Failed", "run_result": {"status": "Finished", "stdout": "", "stderr": ""}})],
}


@pytest.mark.parametrize("name", OUTAGES)
@pytest.mark.slow
def test_an_outage_of_the_service_is_not_the_model_s_doing(tool, service, name):
    service[0].next[:] = OUTAGES[name]
    with pytest.raises(ToolUnavailable, match="the service that runs code"):
        execute(tool, "1")
    service[0].next.clear()
    assert execute(tool, "1") == "1"


def test_no_more_programs_run_at_a_time_than_may(service):
    running, most, lock = 0, 0, threading.Lock()

    def answer(asked):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.1)
        with lock:
            running -= 1
        return run_code(asked)

    async def all_of(tool):
        calls = (tool.execute("none", {"code": "1"}, agent_data=Conversation()) for _ in range(8))
        return await asyncio.gather(*calls)

    with serving(answer) as (_, url):
        tool = PythonTool({"type": "native", "runner": {"url": url, "max_running": 2}})
        assert [response.text for response, _, _ in asyncio.run(all_of(tool))] == ["1"] * 8
    assert most <= 2


def test_a_call_can_be_interrupted(tool):
    async def run():
        trajectory = Conversation()
        call = asyncio.ensure_future(tool._runner.run(trajectory, "import time; time.sleep(3)", 20))
        await asyncio.sleep(0.5)
        await tool._runner.interrupt(trajectory)
        return await call

    assert wait_on_io_loop(run(), 30).result.status == "interrupted"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"runner": {"url": "localhost:8080"}}, "config.runner.url"),
        ({"runner": {}}, "config.runner.url is missing"),
        ({"runner": {"url": "http://localhost", "isolation": "auto"}}, "unknown setting config.runner.isolation"),
        (
            {"runner": {"url": "http://localhost"}, "isolation": "landlock", "max_sessions": 3},
            "isolation, max_sessions only holds for sessions of this machine, and runner is set",
        ),
    ],
)
def test_a_bad_config_is_refused(config, message):
    with pytest.raises(ToolConfigError) as error:
        PythonTool({"type": "native", **config})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([Answer({"detail": "no"}, status=404)], "no code can run at .*/run_code: .* answered 404"),
        ([Answer({"status": "Success", "run_result": {"status": "Finished", "stdout": "", "stderr": "",
                                                      "return_code": 0}})], "does not run Python"),
    ],
)  # fmt: skip
def test_a_service_that_runs_no_code_is_told_before_training(answers, message):
    with serving(*answers) as (_, url), pytest.raises(ConnectionError, match=message):
        PythonTool({"type": "native", "runner": {"url": url}})
