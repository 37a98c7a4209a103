"""``verl-hdpo eval`` against a scripted server.

The fixtures import what brings verl, which takes seconds: the tests of dumps and of the page do without.
"""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from plus_tool import TOOLS
from scripted_eval import QUESTIONS, row, write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from tiny import save_checkpoint_without_weights

    path = tmp_path_factory.mktemp("eval")
    (path / "tools.py").write_text(TOOLS)
    save_checkpoint_without_weights(path / "model")
    return path


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row(kind, *numbers)) + "\n" for kind, numbers in QUESTIONS.items()))
    return path


@pytest.fixture
def server():
    from completions_server import serving

    with serving(write) as server:
        yield server


@pytest.fixture
def run_eval(model, data, tmp_path, server):
    """``run_eval(*arguments)``: the command against the scripted server."""
    from verl_hdpo.cli.main import main

    def run(*arguments: str, overrides=(), tools="tools.py"):
        multi_turn = "actor_rollout_ref.rollout.multi_turn"
        return CliRunner().invoke(
            main,
            [
                "eval", "--out", str(tmp_path / "out"), "--data", str(data),
                *(arguments if "--model" in arguments else ("--model", str(model / "model"), *arguments)),
                *(() if "--endpoint" in arguments else ("--endpoint", server.url)),
                "--", *([f"{multi_turn}.function_tool_path={model / tools}"] if tools else []),
                f"{multi_turn}.format=hermes", "data.max_prompt_length=600", "data.max_response_length=400",
                "+actor_rollout_ref.model.override_config.attn_implementation=sdpa", *overrides,
            ],
        )  # fmt: skip

    return run


@pytest.fixture
def no_hydra(monkeypatch):
    from composed import without_hydra

    from verl_hdpo.evaluation import run_config

    monkeypatch.setattr(run_config, "compose", without_hydra)
