"""A training whose trajectories use real tools, in its own worker and on a tool server, while those are killed."""

import functools
import json
import math
import os
import re
from pathlib import Path

import psutil
import pytest
import torch
from free_port import free_port
from hang import HANG_SECONDS
from leftovers import nothing_left
from recorded import rows_of
from run_overrides import OWN_PARTS
from run_processes import processes_of_runs
from sandbox_processes import kill, sandboxes_of, wait_until_busy
from tool_model import GIVES_UP, HEIGHTS, PYTHON_TOOLS, SEARCH_TOOLS, questions, taught
from tool_servers import TOKEN, as_process

from verl_hdpo.outcomes.ledger import CALL_STATUSES
from verl_hdpo.tools.server import TOKEN_ENV

HERE = Path(__file__).parent
SPARE = 1
STEPS, ROLLOUTS = 12, 4
REASONS = {
    "interpreters": "the interpreter was killed from outside",
    "zygotes": "the process that all interpreters come from has died",
}
"""What dies in sandboxes, and what is said of a call that met it."""
ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
RESPONSE = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)


def near_tools(index):
    """Entries of a tool yaml for the tools themselves."""
    python = {"type": "native", "modules": [], "spare_sessions": SPARE}
    search = {"type": "native", "provider": {"kind": "index", "path": str(index)}, "topk": 1}
    return [
        {"class_name": "verl_hdpo.tools.python.PythonTool", "config": python},
        {"class_name": "verl_hdpo.tools.text_search.TextSearchTool", "config": search},
    ]


def far_tools(url):
    """Entries for the same tools on a server, by other names."""
    common = {"type": "native", "server": {"urls": [url], "reconnect_seconds": 10}}
    return [
        {"class_name": "verl_hdpo.tools.remote.RemoteTool", "config": {**common, "tool": tool, "name": name}}
        for tool, name in (PYTHON_TOOLS, SEARCH_TOOLS)
    ]


@pytest.fixture(scope="module")
def tool_task(tmp_path_factory):
    """Eight questions, two for each of four tools, and a model that uses those."""
    import pandas
    from verl.tools.tool_registry import load_all_tools

    from verl_hdpo.tools.search.index_build import build
    from verl_hdpo.tools.search.passage import Passage

    path = tmp_path_factory.mktemp("tool_task")
    build([Passage(name, height) for name, height in HEIGHTS.items()], path / "index", "english", threads=1)
    (path / "served.yaml").write_text(json.dumps({"tools": near_tools(path / "index")}))
    torch.set_num_threads(1)
    near = [tool.tool_schema for tool in load_all_tools(str(path / "served.yaml"), None)]
    far = [schema.model_copy(deep=True) for schema in near]
    for schema, name in zip(far, (PYTHON_TOOLS[1], SEARCH_TOOLS[1]), strict=True):
        schema.function.name = name
    model, tokenizer = taught([s.model_dump(exclude_unset=True, exclude_none=True) for s in (*near, *far)])
    model.save_pretrained(path / "model")
    tokenizer.save_pretrained(path / "model")
    pandas.DataFrame([question.row() for question in questions()]).to_parquet(path / "questions.parquet")
    return path


class Deaths:
    """Kills while trajectories use what dies: ``done`` names those that were, ``back_at`` a step with a new server.

    Args:
        config: the server's tool yaml.
        record: what ``outcomes_record`` writes.
    """

    def __init__(self, config, record):
        self._config, self._record, self._starts = config, record, 0
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.done, self.back_at = [], None
        self._start_server()

    def after(self, step):
        """The next one; those in sandboxes until it is seen that calls were under way, as on a busy machine they may
        not be when their interpreters are.
        """
        for kind, reason in REASONS.items():
            if not all(self._met(tool, reason) for tool in PYTHON_TOOLS):
                self._kill_in_sandboxes(kind)
                return
        if self.back_at is None:
            self._kill_server()
            self._start_server()
            self.back_at = max(row["step"] for row in rows_of(self._record)) + 2  # the one after may have begun without
        elif step >= self.back_at and self.done[-1] != "server for good":
            self._kill_server()
            self.done[-1] = "server for good"

    def end(self):
        self._running.__exit__(None, None, None)

    def _met(self, tool, reason):
        return any(row["tool"] == tool and reason in row["text"] for row in rows_of(self._record))

    def _start_server(self):
        self._starts += 1
        self._running = as_process(self._config, self._record.with_name(f"server{self._starts}.log"), port=self._port)
        self._server = psutil.Process(self._running.__enter__()[0].pid)

    def _kill_in_sandboxes(self, kind):
        worker = next(p for p in processes_of_runs() if " ".join(p.cmdline()).startswith("ray::AgentLoopWorkerTQ"))
        wait_until_busy(worker, self._server, spare=SPARE)
        sandboxes = sandboxes_of(worker, self._server)
        kill(getattr(sandboxes, kind))
        assert_gone([*getattr(sandboxes, kind), *sandboxes.interpreters])
        if kind not in self.done:
            self.done.append(kind)

    def _kill_server(self):
        wait_until_busy(self._server, spare=SPARE)
        below = self._server.children(recursive=True)
        assert all(sandboxes_of(self._server))
        self.end()
        assert_gone(below)
        self.done.append("server")


def assert_gone(processes):
    _, alive = psutil.wait_procs(set(processes), timeout=HANG_SECONDS)
    assert not alive


def test_training_goes_through_the_deaths_of_its_tools(train, tool_task, tmp_path, monkeypatch):
    """Half of the questions name a tool of the worker's own process, half one of a server on this machine.

    Nothing is scripted: vLLM samples every token, and what is killed is killed with calls under way. ``tool_model``
    says what the model was taught.
    """
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    record = tmp_path / "record.jsonl"
    record.touch()
    with nothing_left():
        deaths = Deaths(tool_task / "served.yaml", record)
        tools = [*near_tools(tool_task / "index"), *far_tools(deaths.url)]
        (tmp_path / "tools.yaml").write_text(json.dumps({"tools": tools}))
        try:
            run = train(
                "tools",
                *OWN_PARTS,
                f"actor_rollout_ref.model.path={tool_task / 'model'}",
                f"data.train_files={tool_task / 'questions.parquet'}",
                f"data.val_files={tool_task / 'questions.parquet'}",
                "actor_rollout_ref.rollout.multi_turn.function_tool_path=null",
                f"actor_rollout_ref.rollout.multi_turn.tool_config_path={tmp_path / 'tools.yaml'}",
                "actor_rollout_ref.rollout.multi_turn.max_assistant_turns=4",
                "actor_rollout_ref.actor.optim.lr=1e-6",
                "data.max_prompt_length=512",
                "data.max_response_length=768",
                "+algorithm.hdpo.max_unknown_rate=1",  # deaths without end, which would stop a run by default
                f"trainer.total_training_steps={STEPS}",
                after_step={step: functools.partial(deaths.after, step) for step in range(1, STEPS)},
                env={
                    "VERL_USE_EXTERNAL_MODULES": "outcomes_record",
                    "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
                    "OUTCOMES_RECORD": str(record),
                },
            ).succeeded()
        finally:
            deaths.end()
    assert deaths.done == ["interpreters", "zygotes", "server", "server for good"]
    rows = rows_of(record)
    check_steps(run, rows, deaths.back_at)
    for row in rows:
        check_rollout(row)
    check_groups(rows)
    check_reasons(rows)


def check_steps(run, rows, back_at):
    assert sorted(run.steps) == list(range(1, STEPS + 1))
    for step, metrics in run.steps.items():
        mine = [row for row in rows if row["step"] == step]
        assert len(mine) == len(questions()) * ROLLOUTS
        assert math.isfinite(metrics["actor/grad_norm"])
        unknown = sum(row["ledger"]["unavailable"] > 0 for row in mine)
        assert metrics["hdpo/unknown_rate"] == pytest.approx(unknown / len(mine))
        assert metrics["hdpo/accuracy"] > 0.9
    assert run.steps[1]["hdpo/unknown_rate"] == 0
    assert any(metrics["actor/grad_norm"] > 0 for metrics in run.steps.values())
    everything, without_server = PYTHON_TOOLS + SEARCH_TOOLS, ("python", "text_search")
    for step, tools in ((1, everything), (back_at, everything), (STEPS, without_server)):
        for tool in tools:
            assert run.steps[step][f"hdpo/tools/{tool}/executed"] > 0, (step, tool)
            assert run.steps[step][f"hdpo/{tool}/unknown_rate"] == 0, (step, tool)


def check_rollout(row):
    """Calls that met a dead tool are not counted, and whoever made one is neither right nor wrong nor trained on."""
    responses, reward, dead = RESPONSE.findall(row["text"]), row["reward"], row["ledger"]["unavailable"]
    errors = sum(response.startswith("Error executing tool") for response in responses)
    counts = {how: sum(tally[how] for tally in row["ledger"]["tools"].values()) for how in CALL_STATUSES}
    assert dead <= errors <= dead + counts["failed"], row
    assert reward["tool_calls"] == sum(counts.values()) == len(responses) - dead + counts["dropped"], row
    assert reward["outcome_known"] == (dead == 0), row
    assert (row["trained_tokens"] > 0) == (dead == 0), row
    if dead == 0:
        answers = ANSWER.findall(RESPONSE.sub("", row["text"]))
        assert reward["acc"] == (answers[-1:] == [row["truth"]]), row


def check_groups(rows):
    """Who is right where nobody is wrong gains nothing: those whose tool died do not pass for wrong."""
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    for group in groups.values():
        known = [row for row in group if row["reward"]["outcome_known"]]
        if all(row["reward"]["acc"] and row["reward"]["format"] for row in known):
            assert all(row["advantages"] == [0] for row in known)
    answered = [row for row in rows if row["reward"]["tool_executed"] and row["reward"]["outcome_known"]]
    assert sum(row["truth"] in RESPONSE.findall(row["text"])[-1] for row in answered) > 0.9 * len(answered)


def check_reasons(rows):
    unknown = [row for row in rows if not row["reward"]["outcome_known"]]
    for tools, reason in (
        *((PYTHON_TOOLS, reason) for reason in REASONS.values()),
        (("far_python", "far_search"), "the tool server gives no answer"),
    ):
        for tool in tools:
            assert any(row["tool"] == tool and reason in row["text"] for row in unknown), (tool, reason)
    assert all(row["tool"] != "text_search" for row in unknown)
    # They do go wrong: a known outcome would have cost them their reward.
    assert any(f"<answer>{GIVES_UP}</answer>" in row["text"] for row in unknown)
