"""Every recipe composes into a run that verl and verl-hdpo accept."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from run_findings import run_findings
from tool_servers import TOKEN, in_thread
from verl.tools.tool_registry import load_all_tools

from verl_hdpo.adapters.served_tools import load_served_tools
from verl_hdpo.tools.search.index_build import build as build_index
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.server import TOKEN_ENV

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def one_word(tmp_path, run_files):
    """The command line that ``recipes/one_word/run.sh`` would run, as ``(program, arguments)``."""
    (tmp_path / "bin").mkdir()
    for program in ("python3", "verl-hdpo"):
        (tmp_path / "bin" / program).write_text('#!/bin/bash\necho "$(basename "$0")"\nprintf "%s\\n" "$@"\n')
        (tmp_path / "bin" / program).chmod(0o755)

    def command(*overrides: str, script: str = "one_word", **env: str) -> tuple[str, list[str]]:
        tools = RECIPES.parent / "examples" / "quickstart" / "tools.py"
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "TOOLS": str(tools),
            **run_files,
            **env,
        }
        done = subprocess.run(
            [RECIPES / script / "run.sh", *overrides], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        program, *arguments = done.stdout.splitlines()
        return program, arguments

    return command


CONFIGS = {"fsdp2": "ppo_trainer", "megatron": "ppo_megatron_trainer"}


@pytest.mark.parametrize("engine", CONFIGS)
def test_one_word(one_word, engine):
    program, arguments = one_word("trainer.v1.trainer_mode=colocate_async", ENGINE=engine)
    assert program == "python3"
    assert arguments[:3] == ["-m", "verl.trainer.main_ppo", f"--config-name={CONFIGS[engine]}"]
    findings = run_findings(arguments[3:], CONFIGS[engine])
    # Megatron is not installed beside the rest.
    missing = ["training engine"] if engine == "megatron" else []
    assert [f.subject for f in findings if f.mark != "ok"] == missing, findings
    assert any("HDPO: w_acc=1, w_tool=0.15" in finding.found for finding in findings)


def test_one_word_checks_the_run_it_would_start(one_word):
    _, run = one_word(ALGO="grpo", NODES="4")
    program, check = one_word(ALGO="grpo", NODES="4", CHECK="1")
    assert program == "verl-hdpo"
    assert check == ["doctor", "--config-name", "ppo_trainer", "--", *run[3:]]
    assert {"algorithm.adv_estimator=grpo", "trainer.nnodes=4"} <= set(run)


def test_one_word_takes_a_tool_yaml(one_word):
    _, arguments = one_word(TOOLS="tools.yaml")
    assert "actor_rollout_ref.rollout.multi_turn.tool_config_path=tools.yaml" in arguments
    assert not any("function_tool_path" in argument for argument in arguments)


def test_tools_are_the_same_in_the_workers_and_through_a_server(tmp_path, monkeypatch):
    build_index([Passage("Etna", "Mount Etna is a volcano.", "1")], tmp_path / "index", "english")
    monkeypatch.setenv("INDEX", str(tmp_path / "index"))
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    served, settings = load_served_tools(RECIPES / "tools" / "tools.yaml")
    with in_thread(served, **settings.model_dump()) as url:
        monkeypatch.setenv("TOOL_SERVERS", f"[{url}]")
        remote = load_all_tools(str(RECIPES / "tools" / "through_servers.yaml"), None)
        plain = [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in remote]
        assert plain == [tool.schema for tool in served]


def test_one_word_says_what_is_missing():
    done = subprocess.run([RECIPES / "one_word" / "run.sh"], env={"PATH": os.environ["PATH"]}, capture_output=True)
    assert done.returncode != 0
    assert b"TRAIN: training data" in done.stderr


@pytest.mark.parametrize("size", ["8b", "32b"])
def test_a_dense_model(one_word, size):
    _, arguments = one_word(SIZE=size, script="dense_fsdp2")
    findings = run_findings(arguments[3:], "ppo_trainer")
    assert [f.subject for f in findings if f.mark != "ok"] == [], findings


@pytest.mark.parametrize(("size", "nodes"), [("64", "4"), ("512", "32")])
def test_a_mixture_of_experts(one_word, size, nodes):
    _, arguments = one_word(SIZE=size, script="moe_megatron")
    assert f"trainer.nnodes={nodes}" in arguments
    findings = run_findings(arguments[3:], "ppo_megatron_trainer")
    # Megatron is not installed beside the rest.
    assert [f.subject for f in findings if f.mark != "ok"] == ["training engine"], findings
