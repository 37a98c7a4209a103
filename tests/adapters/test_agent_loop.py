"""``hdpo_tool_agent`` driven by a scripted server: every way a tool call can end, and verl's tokens throughout."""

import asyncio
import inspect
import itertools
import json

import pytest
import scripted_loop
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_loop import FINAL, Server, call, counts, echo, function_tool, schema, text_of, trainer_config
from tiny import tiny_tokenizer
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap, _agent_loop_registry
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.tools.base_tool import BaseTool
from verl.tools.function_tool import FunctionTool
from verl.tools.schemas import ToolResponse
from verl.utils.dataset.rl_dataset import RLHFDataset

from verl_hdpo.adapters import agent_loop
from verl_hdpo.adapters.agent_loop import HDPOToolAgentLoop, model_spans
from verl_hdpo.outcomes.ledger import LOST_KEY, RUN_ERROR_KEY, UNKNOWN_TOOL, ToolLedger
from verl_hdpo.settings.group import SettingsError
from verl_hdpo.tools.failures import ToolUnavailable


async def fail(x):
    raise RuntimeError("no")


async def hang(x):
    await asyncio.sleep(60)


async def time_out_itself(x):
    raise TimeoutError("the page")


async def outage(x):
    raise ToolUnavailable("server down")


def blocking(x):
    return f"thread {x}"


def function_tools():
    return [function_tool(fn) for fn in (echo, fail, hang, time_out_itself, outage, blocking)]


class Session(BaseTool):
    """A tool with a life cycle; ``fails_in`` names the step that raises."""

    def __init__(self, fails_in=None):
        self.tool_schema, self.name, self.fails_in, self.log = schema("session"), "session", fails_in, []

    def step(self, name):
        self.log.append(name)
        if self.fails_in == name:
            raise RuntimeError(name)

    async def create(self, instance_id=None, **kwargs):
        self.step("create")
        return "id", ToolResponse()

    async def execute(self, instance_id, parameters, **kwargs):
        self.step("execute")
        if parameters["x"] == "hang":
            await asyncio.sleep(60)
        return ToolResponse(text="state"), 0.5, {}

    async def release(self, instance_id, **kwargs):
        self.log.append("release")


def run_loop(texts, tools=None, **config):
    return scripted_loop.run_loop(texts, function_tools() if tools is None else tools, **config)


def test_the_loop_is_registered_under_an_importable_name():
    assert _agent_loop_registry["hdpo_tool_agent"] == {"_target_": "verl_hdpo.adapters.agent_loop.HDPOToolAgentLoop"}


@pytest.mark.parametrize(
    "texts",
    [[FINAL], [call("echo") + call("fail"), call("blocking"), FINAL], [call("nothing"), FINAL]],
    ids=["no calls", "calls", "unknown tool"],
)
def test_tokens_masks_and_stamps_are_the_stock_loops(texts):
    ours, our_server, _ = run_loop(texts)
    stock, stock_server, _ = run_loop(texts, cls=ToolAgentLoop)
    assert our_server.prompts == stock_server.prompts
    for name in ("prompt_ids", "response_ids", "response_mask", "response_logprobs", "num_turns"):
        assert getattr(ours, name) == getattr(stock, name), name
    ledger, spans = ours.extra_fields.pop("tool_ledger"), ours.extra_fields.pop("model_spans")
    assert ours.extra_fields.pop(LOST_KEY) == ours.extra_fields.pop(RUN_ERROR_KEY) == ""
    assert ours.extra_fields == stock.extra_fields
    assert ours.extra_fields["min_global_steps"] == 1 and ours.extra_fields["max_global_steps"] == len(texts)
    assert len(spans) == len(texts) and ledger["rounds"] == len(texts) - 1
    json.dumps([ledger, spans])  # plain containers only


@pytest.mark.parametrize(
    ("name", "tool", "outcome"),
    [
        ("echo", "echo", "executed"),
        ("blocking", "blocking", "executed"),
        ("fail", "fail", "failed"),
        ("time_out_itself", "time_out_itself", "failed"),
        ("hang", "hang", "timed_out"),
        ("no_such_tool", UNKNOWN_TOOL, "failed"),
    ],
)
def test_each_way_a_call_can_end(name, tool, outcome):
    timeout = 0.2 if name == "hang" else 30.0
    output, server, _ = run_loop([call(name), FINAL], hdpo={"tool_timeout": timeout})
    assert counts(output) == {tool: {outcome: 1}}
    assert output.extra_fields["tool_ledger"]["rounds"] == 1
    assert len(server.prompts) == 2 and text_of(output.response_ids).endswith(FINAL + "<|im_end|>")


def test_arguments_that_are_no_object_are_a_failed_call():
    bad = '<tool_call>{"name": "echo", "arguments": [1]}</tool_call>'
    output, _, _ = run_loop([bad, FINAL])
    assert counts(output) == {"echo": {"failed": 1}}


def test_a_timeout_tells_the_model_and_releases_the_tool():
    tool = Session()
    output, server, _ = run_loop([call("session", "hang"), FINAL], tools=[tool], hdpo={"tool_timeout": 0.2})
    assert counts(output) == {"session": {"timed_out": 1}}
    assert tool.log == ["create", "execute", "release"]
    assert "did not finish within 0.2 seconds" in text_of(server.prompts[1])


@pytest.mark.parametrize(("fails_in", "outcome"), [(None, "executed"), ("create", "failed"), ("execute", "failed")])
def test_a_tool_with_a_life_cycle(fails_in, outcome):
    tool = Session(fails_in)
    output, _, _ = run_loop([call("session"), FINAL], tools=[tool])
    assert counts(output) == {"session": {outcome: 1}}
    assert ("release" in tool.log) == (fails_in != "create")


def test_a_call_that_ignores_its_cancellation_is_left_behind(monkeypatch):
    monkeypatch.setattr(agent_loop, "CLEANUP_SECONDS", 0.1)

    async def stubborn(x):
        for _ in range(10):
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue

    tools = [FunctionTool("stubborn", stubborn, schema("stubborn"), True)]
    output, _, _ = run_loop([call("stubborn"), FINAL], tools=tools, hdpo={"tool_timeout": 0.05})
    assert counts(output) == {"stubborn": {"timed_out": 1}}


def test_cancelling_the_trajectory_cancels_the_call():
    seen, trajectories = [], []

    async def watched(x):
        asyncio.get_running_loop().call_soon(trajectories[0].cancel)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def cancel_in_flight():
        trajectories.append(asyncio.current_task())
        await asyncio.to_thread(lambda: None)
        node = trainer_config()
        runner = HDPOToolAgentLoop(
            trainer_config=DictConfigWrap(node), server_manager=Server([call("watched"), FINAL]),
            tokenizer=tiny_tokenizer(), processor=None, dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(node.data), hf_model_type="qwen3",
            tools=ToolListWrap([FunctionTool("watched", watched, schema("watched"), True)]),
        )  # fmt: skip
        try:
            await runner.run({}, raw_prompt=[{"role": "user", "content": "?"}])
        finally:
            await asyncio.sleep(0)  # the call's task gets its turn to end

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel_in_flight())
    assert seen == ["cancelled"]


def test_an_outage_is_no_call_of_the_models():
    output, _, _ = run_loop([call("outage") + call("echo"), FINAL])
    assert counts(output) == {"echo": {"executed": 1}}
    assert output.extra_fields["tool_ledger"]["unavailable"] == 1


def test_calls_over_max_parallel_calls_are_dropped():
    output, _, _ = run_loop([call("echo") * 3 + call("made_up"), FINAL], max_parallel_calls=2)
    assert counts(output) == {"echo": {"executed": 2, "dropped": 1}, UNKNOWN_TOOL: {"dropped": 1}}


@pytest.mark.parametrize("limit", [{"max_assistant_turns": 2}, {"max_user_turns": 1}])
def test_calls_on_the_last_allowed_turn_are_dropped(limit):
    output, server, _ = run_loop([call("echo"), call("echo") * 2], **limit)
    assert len(server.prompts) == 2
    assert counts(output) == {"echo": {"executed": 1, "dropped": 2}}
    assert output.extra_fields["tool_ledger"]["rounds"] == 1


def test_calls_of_a_response_that_is_too_long_are_dropped():
    output, _, _ = run_loop([call("echo")], response_length=20)
    assert counts(output) == {"echo": {"dropped": 1}}
    assert output.extra_fields["tool_ledger"]["rounds"] == 0
    assert output.extra_fields["model_spans"] == [[0, 20]]


def test_calls_over_the_cap_do_not_run_and_the_model_is_told():
    ran = []

    async def count(x):
        ran.append(x)
        return "ok"

    tools = [FunctionTool("count", count, schema("count"), True)]
    texts = [call("count", "a") + call("count", "b") + call("count", "c"), call("count", "d"), FINAL]
    output, server, _ = run_loop(texts, tools=tools, hdpo={"max_tool_calls": 2})
    assert sorted(ran) == ["a", "b"]
    assert counts(output) == {"count": {"executed": 2, "dropped": 2}}
    assert output.extra_fields["tool_ledger"]["rounds"] == 1
    assert text_of(server.prompts[2]).count("the limit of 2 tool calls is reached") == 2


def test_a_cap_of_zero_runs_nothing():
    output, _, _ = run_loop([call("echo"), FINAL], hdpo={"max_tool_calls": 0})
    assert counts(output) == {"echo": {"dropped": 1}}
    assert output.extra_fields["tool_ledger"]["rounds"] == 0


def test_a_sample_may_select_its_tools():
    sample = {"extra_info": {"tool_selection": ["blocking"]}}
    output, _, _ = run_loop([call("echo") + call("blocking"), FINAL], sample=sample)
    assert counts(output) == {UNKNOWN_TOOL: {"failed": 1}, "blocking": {"executed": 1}}


def test_concurrent_calls_of_one_tool_are_told_apart():
    async def odd_fails(x):
        await asyncio.sleep(0.01 * int(x))
        if int(x) % 2:
            raise RuntimeError
        return x

    tools = [FunctionTool("odd_fails", odd_fails, schema("odd_fails"), True)]
    output, _, _ = run_loop(["".join(call("odd_fails", x) for x in "3210"), FINAL], tools=tools)
    assert counts(output) == {"odd_fails": {"executed": 2, "failed": 2}}


def test_settings_are_checked_when_the_loop_is_made():
    with pytest.raises(SettingsError, match=r"did you mean algorithm\.hdpo\.tool_timeout"):
        run_loop([FINAL], hdpo={"tool_timeouts": 3})


names = st.sampled_from(["echo", "fail", "blocking", "outage", "made_up"])


@settings(max_examples=25, deadline=None)
@given(
    turns=st.lists(st.lists(names, min_size=1, max_size=3), max_size=3),
    parallel=st.integers(1, 3),
    cap=st.none() | st.integers(0, 3),
    last=st.none() | st.integers(1, 3),
)
def test_every_call_that_was_asked_for_is_in_the_ledger_once(turns, parallel, cap, last):
    texts = ["".join(map(call, turn)) for turn in turns] + [FINAL]
    output, server, _ = run_loop(
        texts, hdpo={"max_tool_calls": cap}, max_parallel_calls=parallel, max_assistant_turns=last
    )
    ledger = ToolLedger.from_dict(output.extra_fields["tool_ledger"])
    issued = sum(map(len, turns[: len(server.prompts)]))
    assert ledger.total("attempted") + ledger.unavailable == issued
    if cap is not None:
        ran = ledger.total("attempted") - ledger.total("dropped") + ledger.unavailable
        assert ran <= cap


@given(st.lists(st.integers(0, 1), max_size=40))
def test_model_spans_cover_exactly_the_model_tokens(mask):
    spans = model_spans(mask)
    covered = [i for start, end in spans for i in range(start, end)]
    assert covered == [i for i, bit in enumerate(mask) if bit]
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_handle_pending_state", ["agent_data", "sampling_params"]),
        ("_handle_generating_state", ["agent_data", "sampling_params", "ignore_termination"]),
        ("_handle_processing_tools_state", ["agent_data"]),
        ("_call_tool", ["tool_call", "tools_kwargs", "agent_data"]),
    ],
)
def test_the_methods_that_are_overridden_are_as_in_verl(method, parameters):
    for cls in (ToolAgentLoop, HDPOToolAgentLoop):
        assert list(inspect.signature(getattr(cls, method)).parameters)[1:] == parameters
