"""Files that a run names, and programs that stand for those of a cluster."""

from __future__ import annotations

import os
import sys

import pyarrow
import pyarrow.parquet
import pytest
from tiny import tiny_tokenizer

ROW = {
    "data_source": "toy",
    "prompt": [{"role": "user", "content": "2 + 2?"}],
    "reward_model": {"style": "rule", "ground_truth": "4"},
}
REWARD = """
def compute_score(solution_str, ground_truth, **kwargs):
    right = float(ground_truth in solution_str)
    return {"score": right, "acc": right}
"""


@pytest.fixture
def run_files(tmp_path):
    """Variables of a run and the files that they name."""
    files = {"TRAIN": "train.parquet", "VAL": "val.parquet", "REWARD": "reward.py", "MODEL": "models/Qwen3-8B"}
    for name in ("TRAIN", "VAL"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW] * 1024), tmp_path / files[name])
    model = tmp_path / files["MODEL"]
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    tiny_tokenizer().save_pretrained(model)
    (tmp_path / files["REWARD"]).write_text(REWARD)
    return {name: str(tmp_path / file) for name, file in files.items()}


@pytest.fixture
def stand_ins(tmp_path):
    """Adds programs to a folder of their own: ``add(name, body)``; ``add.path`` is a PATH that begins with it."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def add(name: str, body: str) -> None:
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)

    # verl's command line, one argument a line; a script of ours that pipes a program to python gets a real one.
    add("python3", f'[[ $1 = - ]] && exec {sys.executable} "$@"\nprintf "%s\\n" "$@" > {tmp_path}/started')
    add.path = f"{folder}:{os.environ['PATH']}"
    return add
