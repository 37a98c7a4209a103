"""The recipe for Qwen3-VL, whole and small: data, cold start, RL and evaluation in one command."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

from leftovers import nothing_left

MINIATURE = Path(__file__).parents[2] / "recipes" / "metis_qwen3_vl" / "miniature.py"
STEPS = 10


def test_cold_start_then_rl_then_eval(tmp_path):
    with nothing_left():
        command = [sys.executable, "-W", "ignore", str(MINIATURE), "--out", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.count("1 bad rows were left out") == 2
    losses = [json.loads(line)["data"] for line in (tmp_path / "cold_start.jsonl").read_text().splitlines()]
    losses = [row["train/loss"] for row in losses if "train/loss" in row]
    assert len(losses) == STEPS
    assert losses[-1] < losses[0] / 2
    rows = [json.loads(line) for line in (tmp_path / "rl" / "metrics.jsonl").read_text().splitlines()]
    steps = {row["step"]: row["data"] for row in rows}
    assert sorted(steps) == [*range(1, STEPS + 1)]
    for metrics in steps.values():
        assert math.isfinite(metrics["actor/grad_norm"])
        # verl keeps vLLM from sampling an image's tokens, to which a model so little trained gives some probability.
        assert metrics["training/rollout_probs_diff_max"] < 0.01
        assert not [name for name in metrics if "rollouts_lost" in name and metrics[name]]
    models = json.loads((tmp_path / "eval" / "figures.json").read_text())["models"]
    assert set(models) == {"before", "after"}
    assert all({"tool_use_rate", "accuracy", "accuracy_without"} <= set(figures["all"]) for figures in models.values())
    records = (tmp_path / "eval" / "after" / "records.jsonl").read_text().splitlines()[1:]
    assert len(records) == 3 * 6
