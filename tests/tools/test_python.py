"""The python tool from verl's tool yaml, through ``hdpo_tool_agent`` and verl's own ``tool_agent``."""

import asyncio
import contextlib
import gc
import itertools
import json
import os
import signal

import psutil
import pytest
from hang import HANG_SECONDS
from PIL import Image
from scripted_loop import FINAL, Server, run_loop
from tiny import tiny_tokenizer
from verl.experimental.agent_loop.tool_agent_loop import AgentData, ToolAgentLoop
from verl.tools.tool_registry import load_all_tools

from verl_hdpo.adapters.agent_loop import HDPOToolAgentLoop
from verl_hdpo.adapters.shown_images import NO_IMAGES_TEXT
from verl_hdpo.outcomes.ledger import CALL_STATUSES
from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.io_loop import io_loop, wait_on_io_loop
from verl_hdpo.tools.python import PythonTool
from verl_hdpo.tools.sandbox import isolation
from verl_hdpo.tools.sandbox.isolation import SandboxRefused

pytestmark = pytest.mark.slow

LOOPS = pytest.mark.parametrize("cls", [HDPOToolAgentLoop, ToolAgentLoop], ids=["hdpo_tool_agent", "tool_agent"])
MODULES = ["PIL.Image"]


@pytest.fixture(scope="module")
def tool(tmp_path_factory):
    path = tmp_path_factory.mktemp("python") / "tools.yaml"
    path.write_text(f"""
tools:
  - class_name: verl_hdpo.tools.python.PythonTool
    config: {{type: native, timeout: 20, modules: {json.dumps(MODULES)}, spare_sessions: 1, max_sessions: 16}}
""")
    (tool,) = load_all_tools(str(path), None)
    execute(tool, "'up'")
    yield tool
    wait_on_io_loop(tool._runner._pool.close(), 60)


def call(code):
    return f"<tool_call>\n{json.dumps({'name': 'python', 'arguments': {'code': code}})}\n</tool_call>"


def run(tool, cls, *turns, **config):
    """Output of a trajectory, and what the model was told in each turn."""
    script = [turn if isinstance(turn, str) else "".join(turn) for turn in turns]
    output, server, _ = run_loop([*script, FINAL], [tool], cls, max_tool_response_length=2000, **config)
    decode, prompts = tiny_tokenizer().decode, server.prompts
    return output, [decode(after[len(before) :]) for before, after in itertools.pairwise(prompts)]


def answers(text):
    return [part.partition("\n</tool_response>")[0] for part in text.split("<tool_response>\n")[1:]]


def counts(output):
    ledger = output.extra_fields["tool_ledger"]
    tally = ledger["tools"].get("python", {})
    return {k: tally[k] for k in CALL_STATUSES if tally.get(k)}, ledger["unavailable"]


def open_sessions(tool):
    gc.collect()
    wait_on_io_loop(asyncio.sleep(0), 5)
    return [held.session for held in tool._runner._held.values()]


@LOOPS
def test_variables_live_as_long_as_the_trajectory(tool, cls):
    output, turns = run(tool, cls, call("x = 20"), [call("x += 1"), call("x *= 2")], call("print('x is', x)\nx + 1"))
    assert [answers(turn) for turn in turns] == [["[no output]"], ["[no output]"] * 2, ["x is 42\n43"]]
    if cls is HDPOToolAgentLoop:
        assert counts(output) == ({"executed": 4}, 0)
    assert open_sessions(tool) == []
    _, turns = run(tool, cls, call("x"))
    assert "NameError: name 'x' is not defined" in turns[0]


@LOOPS
@pytest.mark.slow
def test_many_trajectories_at_once_keep_apart(tool, cls):
    async def one(number):
        from scripted_loop import trainer_config
        from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
        from verl.utils.dataset.rl_dataset import RLHFDataset

        config, server = trainer_config(), Server([call(f"x = {number}"), call("x"), FINAL])
        loop = cls(
            trainer_config=DictConfigWrap(config),
            server_manager=server,
            tokenizer=tiny_tokenizer(),
            processor=None,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config.data),
            hf_model_type="qwen3",
            tools=ToolListWrap([tool]),
        )
        await loop.run({}, raw_prompt=[{"role": "user", "content": "2+2?"}])
        return tiny_tokenizer().decode(server.prompts[2][len(server.prompts[1]) :])

    async def run_all():
        return await asyncio.gather(*(one(number) for number in range(24)))

    assert [answers(turn) for turn in asyncio.run(run_all())] == [[str(number)] for number in range(24)]
    assert open_sessions(tool) == []


@LOOPS
def test_the_model_s_mistakes_are_told_to_it_and_count(tool, cls):
    bad = '<tool_call>\n{"name": "python", "arguments": {"source": "1"}}\n</tool_call>'
    output, turns = run(tool, cls, call("1 / 0"), call("import os\nos._exit(3)"), call("'back'"), bad)
    told = [answers(turn)[0] for turn in turns]
    assert told[0].endswith("ZeroDivisionError: division by zero")
    assert told[1] == "[The interpreter is gone, and its variables with it: the code ended it.]"
    assert told[2] == "[This is a new interpreter: variables of earlier calls are gone.]\n'back'"
    assert "unknown argument 'source'" in told[3]
    if cls is HDPOToolAgentLoop:
        assert counts(output) == ({"executed": 3, "failed": 1}, 0)


@LOOPS
def test_a_killed_interpreter_is_no_call_of_the_model(tool, cls):
    async def kill():
        """Every interpreter that is running something."""
        while not (process := busy_interpreter(tool)):
            await asyncio.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)

    killing = asyncio.run_coroutine_threadsafe(kill(), io_loop())
    output, turns = run(tool, cls, call("x = 1\nwhile True: pass"), call("x"))
    killing.result(HANG_SECONDS)
    assert "the interpreter was killed from outside" in turns[0]
    assert "[This is a new interpreter" in turns[1]
    if cls is HDPOToolAgentLoop:
        assert counts(output) == ({"executed": 1}, 1)


def busy_interpreter(tool):
    zygote = tool._runner._pool._zygote
    processes = [] if zygote is None else psutil.Process(zygote.pid).children(recursive=True)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if not process.children() and process.cpu_times().user > 0.3:
                return process
    return None


def test_a_loop_s_own_time_limit_ends_the_interpreter(tool):
    output, turns = run(
        tool, HDPOToolAgentLoop, call("x = 1"), call("import time; time.sleep(60)"), call("x"), hdpo={"tool_timeout": 1}
    )
    assert answers(turns[1]) == ["Error: tool 'python' was stopped because it did not finish within 1 seconds."]
    assert answers(turns[2])[0].startswith("[This is a new interpreter")
    assert counts(output) == ({"executed": 2, "timed_out": 1}, 0)


def test_an_image_does_not_end_the_rollout_of_a_model_that_takes_none(tool):
    _, turns = run(tool, HDPOToolAgentLoop, call("from PIL import Image\nprint('a')\nImage.new('L', (2, 2))"))
    assert answers(turns[0]) == [f"a\n{NO_IMAGES_TEXT}"]


def agent_data(messages, images=None):
    return AgentData(
        messages=messages, image_data=images, video_data=None, audio_data=None, mm_processor_kwargs=None, metrics={},
        request_id="r", tools_kwargs={},
    )  # fmt: skip


def execute(tool, code, data=None, instance=None):
    """Text and images of one call, outside of any loop."""

    async def run():
        instance_id = instance or (await tool.create())[0]
        response, reward, _ = await tool.execute(instance_id, {"code": code}, agent_data=data)
        if instance is None:
            await tool.release(instance_id)
        assert reward == 0.0
        return response

    response = asyncio.run(run())
    return response.text, response.image


def part(image):
    return {"type": "image", "image": image}


def test_the_conversation_s_images_are_there_at_their_own_size(tool):
    user = {"role": "user", "content": [part(Image.new("RGB", (900, 600), "red")), {"type": "text", "text": "?"}]}
    data = agent_data([user], [Image.new("RGB", (56, 56))])
    assert execute(tool, "image_1.size, image_1.getpixel((0, 0))", data)[0] == "((900, 600), (255, 0, 0))"
    text, images = execute(tool, "image_1 = image_1.crop((0, 0, 30, 20)); image_1", data)
    assert text == "[no output]"
    assert [image.size for image in images] == [(30, 20)]
    # verl's loop adds a tool's images to both
    data.messages.append({"role": "tool", "content": [part(images[0]), {"type": "text", "text": "x"}]})
    data.image_data.append(images[0])
    assert execute(tool, "image_1.size, image_2.size", data)[0] == "((30, 20), (30, 20))"
    execute(tool, "import os; os._exit(0)", data)
    assert execute(tool, "image_1.size, image_2.size", data)[0].endswith("\n((900, 600), (30, 20))")


def test_an_image_by_url_is_there_as_the_model_sees_it(tool):
    user = {"role": "user", "content": [part("https://example.org/a.png"), part(Image.new("L", (30, 30)))]}
    data = agent_data([user], [Image.new("RGB", (56, 84)), Image.new("RGB", (28, 28))])
    assert execute(tool, "image_1.size, image_2.size", data)[0] == "((56, 84), (30, 30))"
    with pytest.raises(ToolUnavailable, match="is str, not a PIL image"):
        execute(tool, "1", agent_data([user]))


def test_an_unreadable_image_is_an_outage(tool, tmp_path):
    (tmp_path / "cut.png").write_bytes(b"")
    image = Image.new("RGB", (50, 50))
    image.save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    user = {"role": "user", "content": [part(Image.open(tmp_path / "cut.png"))]}
    with pytest.raises(ToolUnavailable, match="cannot be read"):
        execute(tool, "1", agent_data([user]))


def test_without_agent_data_the_session_lasts_as_long_as_the_instance(tool):
    instance = asyncio.run(tool.create())[0]
    execute(tool, "x = 1", instance=instance)
    assert execute(tool, "x", instance=instance)[0] == "1"
    asyncio.run(tool.release(instance))
    assert open_sessions(tool) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "must be Python source code"),
        ({"code": 1}, "must be Python source code"),
        ({"code": "  \n"}, "must be Python source code"),
        ({"code": "1", "timeout": 9}, "unknown argument 'timeout'"),
        ({"code": "x" * 100_001}, "at most 100000"),
        ([], "must be a JSON object"),
    ],
)
def test_bad_arguments(tool, arguments, message):
    with pytest.raises(BadCall, match=message):
        asyncio.run(tool.execute("none", arguments, agent_data=agent_data([])))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"timeout": 0}, "config.timeout: Input should be greater than 0, found 0"),
        ({"time": 5}, "unknown setting config.time"),
        ({"limits": {"memory": 5}}, "config.limits.memory: Unexpected keyword"),
        ({"limits": {"memory_mb": 0}}, "memory_mb must be an integer >= 1, found 0"),
        ({"isolation": "hope"}, "must be one of auto, bubblewrap, namespaces, landlock"),
    ],
)
def test_a_bad_config_is_refused(config, message):
    with pytest.raises(ToolConfigError) as error:
        PythonTool({"type": "native", **config})
    assert message in str(error.value)


def test_it_refuses_to_be_made_where_nothing_isolates(monkeypatch):
    async def refuse(*args, **kwargs):
        raise isolation.StartError("no")

    monkeypatch.setattr(isolation.ZygoteClient, "start", refuse)
    monkeypatch.setattr(isolation, "_found_to_work", set())
    with pytest.raises(SandboxRefused, match="allow_unsandboxed"):
        PythonTool({"type": "native"})


def test_no_interpreter_to_be_had_is_an_outage(tool, monkeypatch):
    pool = tool._runner._pool

    async def refuse():
        raise SandboxRefused("not any more")

    async def no_spares():
        while pool._spares:
            pool._spares.popleft().close()

    wait_on_io_loop(no_spares(), 5)
    monkeypatch.setattr(pool, "zygote", refuse)
    with pytest.raises(ToolUnavailable, match="no interpreter can be started: not any more"):
        execute(tool, "1", agent_data([]))


def test_the_schema_and_the_name():
    tool = PythonTool({"type": "native", "name": "code_interpreter"})
    function = tool.tool_schema.function
    assert (tool.name, function.name, function.parameters.required) == ("code_interpreter",) * 2 + (["code"],)
