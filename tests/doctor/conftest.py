"""A run that is complete: change or drop an override to see what doctor says."""

from __future__ import annotations

import json

import pyarrow
import pyarrow.parquet
import pytest
from run_findings import LOOP, MULTI_TURN, ROLLOUT, ROW
from tiny import tiny_tokenizer

TOOLS = '''
from verl.tools.function_tool import function_tool

@function_tool()
def add(a: int, b: int) -> str:
    """Add two numbers.

    Args:
        a: the one
        b: the other
    """
    return str(a + b)
'''
REWARD = """
def compute_score(solution_str, ground_truth, **kwargs):
    return float(ground_truth in solution_str)
"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """One file for all runs of a test file: verl keeps the function tools of a process in one registry."""
    path = tmp_path_factory.mktemp("tools") / "tools.py"
    path.write_text(TOOLS)
    return path


@pytest.fixture
def run(tmp_path, tools):
    """Its overrides by key."""
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW] * 8), tmp_path / "train.parquet")
    (tmp_path / "val.jsonl").write_text(json.dumps(ROW) + "\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "reward.py").write_text(REWARD)
    return {
        "algorithm.adv_estimator": "hdpo",
        f"{ROLLOUT}.n": 4,
        f"{ROLLOUT}.name": "vllm",
        "actor_rollout_ref.actor.use_dynamic_bsz": "true",
        LOOP: "hdpo_tool_agent",
        f"{MULTI_TURN}.function_tool_path": tools,
        "reward.reward_manager.name": "hdpo",
        "reward.custom_reward_function.path": tmp_path / "reward.py",
        "data.train_files": tmp_path / "train.parquet",
        "data.val_files": tmp_path / "val.jsonl",
        "data.train_batch_size": 8,
        "actor_rollout_ref.model.path": tmp_path / "model",
        "actor_rollout_ref.actor.ppo_mini_batch_size": 8,
        "+algorithm.hdpo.w_tool": 0.1,
    }


@pytest.fixture
def write_rows(tmp_path):
    """``write_rows(name, *changes)``: a file with the usual row for each change to it."""

    def write(name: str, *changes: dict):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(ROW | change) + "\n" for change in changes))
        return path

    return write


@pytest.fixture
def val_rows(run, write_rows):
    """``val_rows(*changes)``: the run with these rows for validation."""

    def with_rows(*changes: dict, **overrides) -> dict:
        return {**run, "data.val_files": write_rows("rows", *changes), **overrides}

    return with_rows
