"""Whatever a tool does, the rollout goes on, or the run ends with the tool's name."""

import asyncio
import logging
import re

import pytest
from scripted_loop import FINAL, call, counts, echo, function_tool, run_loop, schema, told
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import ToolResponse

from verl_hdpo.outcomes.ledger import LOST_KEY, RUN_ERROR_KEY
from verl_hdpo.tools.failures import BadCall, ToolUnavailable

HALF = "\ud83d"


class Tool(BaseTool):
    """Does what it is given in each step: returns it, or raises it."""

    def __init__(self, execute=None, create=None, release=None, name="tool"):
        self.tool_schema, self.name, self.released = schema(name), name, 0
        self._create = ("id", ToolResponse()) if create is None else create
        self._execute = (ToolResponse(text="done"), 0.0, {}) if execute is None else execute
        self._release = release

    async def create(self, instance_id=None, **kwargs):
        return does(self._create)

    async def execute(self, instance_id, parameters, **kwargs):
        return does(self._execute)

    async def release(self, instance_id, **kwargs):
        self.released += 1
        return does(self._release)


async def in_pieces(x):
    yield x


class Wordless(Exception):
    def __str__(self):
        raise AttributeError("message")


class NotAsync(Tool):
    def execute(self, instance_id, parameters, **kwargs):
        return ToolResponse(text="done"), 0.0, {}


class Own(BaseException):
    pass


def does(what):
    if isinstance(what, BaseException):
        raise what
    return what


def run(tool, times=1, **config):
    return run_loop([call(tool.name)] * times + [FINAL], [tool], **config)


async def half_a_pair(x):
    return f"a snippet that was cut {HALF}"


async def raises_half_a_pair(x):
    raise ValueError(f"no page {HALF}")


async def unavailable_in_half(x):
    raise ToolUnavailable(f"the server said {HALF}")


@pytest.fixture
def unlogged():
    """verl logs the texts as they came, and pytest-xdist cannot send those logs on."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize(
    ("tool", "text"),
    [
        (function_tool(half_a_pair), "a snippet that was cut \ufffd"),
        (function_tool(raises_half_a_pair), "Error executing tool 'raises_half_a_pair': no page \ufffd"),
        (function_tool(unavailable_in_half), "Error executing tool 'unavailable_in_half': the server said \ufffd"),
        (Tool((ToolResponse(text=f"{HALF} {HALF}"), 0.0, {})), "\ufffd \ufffd"),
        (Tool(BadCall(HALF)), "Error executing tool 'tool': \ufffd"),
        (Tool(create=RuntimeError(HALF)), "Error executing tool 'tool': \ufffd"),
    ],
)
def test_half_of_a_surrogate_pair_ends_no_rollout(tool, text):
    output, server, _ = run(tool)
    assert told(server) == [text] and not output.extra_fields[LOST_KEY]


@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize(("name", "x"), [("echo", "\\ud83d"), ("\\ud83d", "1")])
def test_neither_does_one_that_the_model_wrote(name, x):
    output, server, _ = run_loop([call(name, x), FINAL], [function_tool(echo)])
    assert "\ufffd" in told(server)[0] and not output.extra_fields[LOST_KEY]


def test_neither_does_one_in_a_tool_s_description():
    tool = function_tool(echo)
    tool.tool_schema.function.description = HALF
    output, _, _ = run(tool)
    assert counts(output) == {"echo": {"executed": 1}} and not output.extra_fields[LOST_KEY]


@pytest.mark.parametrize(
    "error", [RuntimeError("no"), ToolUnavailable("down"), SystemExit(1), asyncio.CancelledError()]
)
def test_a_failed_release_leaves_the_answer_and_is_counted(error):
    output, server, _ = run(Tool(release=error), times=2)
    assert told(server) == ["done", "done"] and counts(output) == {"tool": {"executed": 2}}
    assert output.extra_fields["tool_ledger"]["release_failed"] == 2
    assert output.extra_fields["tool_ledger"]["unavailable"] == 0


def test_a_failed_call_whose_release_fails_too_is_one_failed_call():
    output, _, _ = run(Tool(BadCall("x"), release=RuntimeError()))
    assert counts(output) == {"tool": {"failed": 1}}
    assert output.extra_fields["tool_ledger"]["release_failed"] == 1


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        ({"text": "a"}, "dict"),
        ({"a": 1, "b": 2, "c": 3}, "dict"),
        ("abc", "str"),
        (ToolResponse(text="a"), "ToolResponse"),
        (("text", 0.0, {}), r"\(str, float, dict\)"),
        ((ToolResponse(text="a"), 0.0), r"\(ToolResponse, float\)"),
        ((ToolResponse(text="a"), "0", {}), r"\(ToolResponse, str, dict\)"),
    ],
)
def test_a_tool_that_returns_the_wrong_thing_is_named_and_ends_the_run(returned, found):
    output, server, _ = run(Tool(returned))
    assert_ends_run(output, rf"the tool 'tool' \(test_watched_tool\.Tool\) is broken: execute must .* found {found}")
    assert len(server.prompts) == 1 and output.response_mask == [0]


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (Tool(create="id"), "create must return"),
        (Tool((ToolResponse(video=[1]), 0.0, {})), "a video"),
        (NotAsync(), "execute must be an async function"),
        (function_tool(lambda x: (1, 2, 3, 4)), "length 4"),
        (function_tool(lambda x: ("text", "no number")), "could not convert"),
        (function_tool(lambda x: echo(x)), "it returns a coroutine"),
        (function_tool(lambda x: (part for part in x)), "it returns a generator"),
        (function_tool(in_pieces), "it returns a async_generator"),
        (Tool((ToolResponse.model_construct(text=4), 0.0, {})), "text of its ToolResponse must be a str, found int"),
        (Tool((ToolResponse(image=["picture.png"]), 0.0, {})), "images must be PIL images or arrays, found str"),
        (Tool((ToolResponse(image=[{"bytes": b""}]), 0.0, {})), "images must be PIL images or arrays, found dict"),
    ],
)
def test_so_does_one_that_is_broken_in_another_way(tool, message):
    tool.name = tool.tool_schema.function.name = "tool"
    output, _, _ = run(tool)
    assert_ends_run(output, rf"the tool 'tool' \(test_watched_tool\..*\) is broken: .*{message}")


def test_a_broken_tool_is_released():
    tool = Tool("text")
    run(tool)
    assert tool.released == 1


@pytest.mark.parametrize("error", [SystemExit(1), Own("x")])
def test_what_is_no_exception_fails_the_call_like_one(error):
    """Model code that a tool runs may call ``exit()``."""
    output, server, _ = run(Tool(error), times=2)
    assert counts(output) == {"tool": {"failed": 2}}
    assert told(server)[0] == f"Error executing tool 'tool': {type(error).__name__} {error}"


def test_neither_does_an_exception_without_a_text():
    output, server, _ = run(Tool(Wordless()))
    assert counts(output) == {"tool": {"failed": 1}} and not output.extra_fields[LOST_KEY]
    assert told(server) == ["Error executing tool 'tool': Wordless"]


def test_a_keyboard_interrupt_in_a_thread_is_no_ctrl_c():
    done = []

    def work():
        done.append(run(Tool(KeyboardInterrupt())))

    asyncio.run(asyncio.to_thread(work))
    assert counts(done[0][0]) == {"tool": {"failed": 1}}
    with pytest.raises(KeyboardInterrupt):
        run(Tool(KeyboardInterrupt()))


@pytest.mark.parametrize("step", ["create", "execute"])
def test_a_call_that_the_tool_s_own_connections_cancelled_is_unavailable(step):
    output, server, _ = run(Tool(**{step: asyncio.CancelledError()}))
    assert counts(output) == {} and output.extra_fields["tool_ledger"]["unavailable"] == 1
    assert "cancelled from within the tool" in told(server)[0]


def assert_ends_run(output, message):
    assert counts(output) == {} and output.extra_fields[LOST_KEY] == "EndsRun"
    assert re.search(message, output.extra_fields[RUN_ERROR_KEY], re.DOTALL), output.extra_fields[RUN_ERROR_KEY]
