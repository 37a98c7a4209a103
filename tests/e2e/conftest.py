"""Real training runs: stock verl's ``main_ppo`` with Ray, vLLM, TransferQueue and FSDP2 on the CPU, one at a time."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hang import wait_until
from run_overrides import SAMPLED, VALIDATED
from run_processes import COMMAND, MARKED, TEST_MARK, process_of_runs, processes_of_runs

from verl_hdpo.runs.child_process import log_tail
from verl_hdpo.runs.cpu_run import run_verl

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
EXAMPLE_REWARD = Path(__file__).parent / "user_reward.py"
PROMPTS, ROLLOUTS = 8, 4
STOCK_PARTS = [
    "actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent",
    f"reward.custom_reward_function.path={EXAMPLE_REWARD}",
]
"""verl's own agent loop and, by default, its ``naive`` reward manager, with the user's reward function."""


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.e2e)


@dataclass
class Run:
    """What a training run did: its exit code, and the metrics of each step that verl logged."""

    code: int
    log: Path
    checkpoints: Path
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)

    def succeeded(self) -> "Run":
        assert self.code == 0, f"exit code {self.code}\n{log_tail(self.log, 60)}"
        return self


@pytest.fixture(scope="session")
def task(tmp_path_factory):
    """A few of the quickstart's questions, and a model that was taught those: half of its answers call the tool."""
    sys.path.insert(0, str(QUICKSTART))
    import cold_start
    import pandas
    import torch
    from questions import Split, load
    from tokenizer import make_tokenizer
    from verl.tools.function_tool import load_function_tools_from_path

    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("task")
    tools = [
        tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)
        for tool in load_function_tools_from_path(str(QUICKSTART / "tools.py"))
    ]
    known, needed, tokenizer = load("not_needed")[:12], load("needed")[:4], make_tokenizer(tools)
    recipe = cold_start.Recipe(hidden=96, steps=250, direct={"not_needed": 0.5, "needed": 0.5})
    taught = Split(known=known, copied=known, train=known, validation=known)
    cold_start.train(tokenizer, tools, taught, recipe, seed=1).save_pretrained(path / "model")
    tokenizer.save_pretrained(path / "model")
    for name, questions in (("train", known * 4 + needed * 4), ("validation", known[:4] + needed)):
        pandas.DataFrame([q.row(i) for i, q in enumerate(questions)]).to_parquet(path / f"{name}.parquet")
    return path


@pytest.fixture(scope="session")
def pipeline(task):
    """Overrides of two steps of training on ``task``, whatever the algorithm."""
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    return [
        f"actor_rollout_ref.model.path={task / 'model'}",
        f"data.train_files={task / 'train.parquet'}",
        f"data.val_files={task / 'validation.parquet'}",
        f"data.train_batch_size={PROMPTS}",
        "data.max_prompt_length=64",
        "data.max_response_length=64",
        f"{actor}.ppo_mini_batch_size={PROMPTS}",
        f"{actor}.optim.lr=1e-4",
        f"{actor}.use_kl_loss=False",
        f"{rollout}.n={ROLLOUTS}",
        f"{rollout}.max_num_seqs=64",
        f"{rollout}.multi_turn.enable=True",
        f"{rollout}.multi_turn.format=hermes",
        f"{rollout}.multi_turn.function_tool_path={QUICKSTART / 'tools.py'}",
        f"{rollout}.multi_turn.max_assistant_turns=2",
        "trainer.val_before_train=False",
        "trainer.test_freq=-1",
        "trainer.save_freq=-1",
        "trainer.total_training_steps=2",
    ]


@pytest.fixture(scope="session")
def train_in(pipeline):
    """``train_in(path, name, *overrides)``: a run with verl's stock loop and reward manager; ``after_step``: faults."""

    def run(path, name, *overrides, world_size=1, after_step=None, env=None) -> Run:
        checkpoints = path / "checkpoints"
        base = [
            *pipeline,
            *STOCK_PARTS,
            "data.seed=1",
            "trainer.logger=[console,file]",
            "trainer.project_name=e2e",
            "trainer.experiment_name=e2e",
            "trainer.resume_mode=disable",
            f"trainer.default_local_dir={checkpoints}",
        ]
        result = Run(-1, path / f"{name}.log", checkpoints)

        def on_metrics(step, metrics):
            result.steps[step] = metrics
            if after_step and step in after_step:
                after_step[step]()

        result.code = run_verl(
            [*base, *overrides],
            run_dir=path / name,
            log_path=result.log,
            on_metrics=on_metrics,
            world_size=world_size,
            death_grace=30.0,
            env={TEST_MARK: str(os.getpid()), **(env or {})},
        )
        return result

    return run


@pytest.fixture
def train(train_in, tmp_path):
    return functools.partial(train_in, tmp_path)


@dataclass(frozen=True)
class Comparison:
    """Of grpo and hdpo, a seed each, killed outright while its second run starts, then done to its end."""

    folder: Path
    unchanged: bool
    """Whether the record of the run that was done before stayed as it was."""
    output: str
    """Of the second call; what it tells of its progress is on stderr."""

    def folder_of(self, algorithm: str) -> Path:
        return self.folder / "runs" / algorithm / "seed1"

    def steps(self, algorithm: str) -> dict[int, dict[str, Any]]:
        """What verl logged; step 0 is the validation before training."""
        lines = (self.folder_of(algorithm) / "metrics.jsonl").read_text().splitlines()
        return {row["step"]: row["data"] for row in map(json.loads, lines)}


@pytest.fixture(scope="session")
def comparison(pipeline, tmp_path_factory):
    """``verl-hdpo compare`` of one pipeline of verl's stock parts, so that its runs differ in one word alone."""
    validation = [*SAMPLED, f"actor_rollout_ref.rollout.val_kwargs.n={VALIDATED}"]
    validation += ["trainer.val_before_train=True", "trainer.test_freq=2"]
    out = tmp_path_factory.mktemp("comparison")
    options = ["--cpu", "--algos", "grpo,hdpo", "--seeds", "1", "--out", str(out)]
    command = [*COMMAND, "compare", *options, "--", *pipeline, *STOCK_PARTS, *validation]
    first_run, second_run = (out / "runs" / algorithm / "seed1" for algorithm in ("grpo", "hdpo"))

    with subprocess.Popen(command, env=MARKED) as first:
        # A run that hangs is ended by the comparison itself.
        wait_until(lambda: second_run.exists() and process_of_runs("ray::TaskRunner"), lambda: first.poll() is None)
        first.kill()
    record = (first_run / "done.json").read_bytes()
    wait_until(lambda: not processes_of_runs())  # what a run that lost its parent ends by itself

    second = subprocess.run(command, capture_output=True, text=True, env=MARKED)
    assert second.returncode == 0, second.stdout + second.stderr
    assert not processes_of_runs()
    return Comparison(out, (first_run / "done.json").read_bytes() == record, second.stdout + second.stderr)
