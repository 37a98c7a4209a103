"""The recipe for Qwen3-VL: its configs are accepted, its prompts and tools fit, and its stages share their settings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from run_findings import run_findings
from tiny import tiny_tokenizer

from verl_hdpo.adapters.composed_config import compose
from verl_hdpo.tools.images.build import build as build_images
from verl_hdpo.tools.search.index_build import build as build_index
from verl_hdpo.tools.search.passage import Passage

RECIPE = Path(__file__).parents[2] / "recipes" / "metis_qwen3_vl"
SYSTEM = "You may call python, text_search or image_search."
ROW = {
    "data_source": "vstar",
    "prompt": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "What is 2 + 2?"}],
    "reward_model": {"style": "rule", "ground_truth": "4"},
    "extra_info": {"question": "What is 2 + 2?", "index": 0},
}
CONFIGS = {"fsdp2": "ppo_trainer", "megatron": "ppo_megatron_trainer"}


@pytest.fixture
def script(tmp_path):
    """``script(name, ...)``: the words of the program that a script of the recipe would start."""
    (tmp_path / "bin").mkdir()
    for program in ("python3", "verl-hdpo", "torchrun"):
        (tmp_path / "bin" / program).write_text('#!/bin/bash\necho "$(basename "$0")"\nprintf "%s\\n" "$@"\n')
        (tmp_path / "bin" / program).chmod(0o755)

    def run(name: str, *overrides: str, **env: str) -> list[str]:
        environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", **env}
        done = subprocess.run([RECIPE / name, *overrides], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


@pytest.fixture
def files(tmp_path, monkeypatch):
    """What rl.sh is told of data, model, judge and tools."""
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW] * 128), tmp_path / "data.parquet")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("{}")
    build_index([Passage("Etna", "Mount Etna is a volcano.", "1")], tmp_path / "index", "english")
    (tmp_path / "results.jsonl").write_text('{"key": "1", "results": []}\n')
    build_images(tmp_path / "results.jsonl", tmp_path / "results.sqlite", 448)
    monkeypatch.setenv("INDEX", str(tmp_path / "index"))
    monkeypatch.setenv("IMAGE_RESULTS", str(tmp_path / "results.sqlite"))
    data = str(tmp_path / "data.parquet")
    return {"TRAIN": data, "VAL": data, "MODEL": str(tmp_path / "model"), "JUDGE": "http://127.0.0.1:9"}


@pytest.mark.parametrize("engine", CONFIGS)
def test_doctor_accepts_the_rl_stage(script, files, engine):
    program, *words = script("rl.sh", ENGINE=engine, **files)
    assert [program, *words[:3]] == ["python3", "-m", "verl.trainer.main_ppo", f"--config-name={CONFIGS[engine]}"]
    findings = run_findings(words[3:], CONFIGS[engine])
    # Megatron is not installed beside the rest.
    missing = ["training engine"] if engine == "megatron" else []
    assert [f.subject for f in findings if f.mark != "ok"] == missing, [f for f in findings if f.mark != "ok"]
    assert any("HDPO: w_acc=1, w_tool=0.15" in finding.found for finding in findings)
    assert any(finding.found == "the rows show the tools" for finding in findings)


def test_rows_that_describe_no_tool_are_told(script, files, tmp_path):
    row = {**ROW, "prompt": ROW["prompt"][1:]}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row] * 128), tmp_path / "data.parquet")
    findings = run_findings(script("rl.sh", PRINT="1", **files))
    (failed,) = [finding for finding in findings if finding.mark == "FAIL"]
    assert failed.found.startswith("no prompt of the rows shows one of python, text_search, image_search")
    assert failed.advice == ("describe the tools in the rows, or set algorithm.hdpo.show_tools=true",)


def test_the_stages_share_their_settings(script, files):
    check = script("rl.sh", CHECK="1", **files)
    printed = script("rl.sh", PRINT="1", **files)
    assert check == ["verl-hdpo", "doctor", "--config-name", "ppo_trainer", "--", *printed]
    grpo = script("rl.sh", PRINT="1", ALGO="grpo", **files)
    assert not any(".w_tool=" in word for word in grpo)
    evaluated = script("evaluate.sh", DATA=files["TRAIN"], BEFORE="start", AFTER=files["MODEL"], JUDGE=files["JUDGE"])
    assert evaluated[:6] == ["verl-hdpo", "eval", "--model", "before=start", "--model", f"after={files['MODEL']}"]
    assert evaluated[evaluated.index("--") + 1 :] == printed


def test_verl_s_sft_trainer_has_the_settings_of_the_cold_start(script):
    program, *words = script("cold_start.sh", "data.max_length=4096", SFT="cold.parquet", NODES="2")
    assert program == "torchrun"
    at = words.index("verl.trainer.sft_trainer")
    assert words[:2] == ["--nnodes=2", "--nproc-per-node=8"]
    config = compose("sft_trainer_engine", None, None, words[at + 1 :])
    assert (config.data.max_length, config.engine.strategy, config.trainer.nnodes) == (4096, "fsdp2", 2)


@pytest.mark.parametrize(
    ("name", "missing"), [("rl.sh", b"TRAIN"), ("cold_start.sh", b"SFT"), ("evaluate.sh", b"DATA")]
)
def test_what_is_missing_is_told(name, missing):
    done = subprocess.run([RECIPE / name], env={"PATH": os.environ["PATH"]}, capture_output=True)
    assert done.returncode != 0
    assert missing in done.stderr
