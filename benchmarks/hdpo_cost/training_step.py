"""Whole steps of one real run: stock verl with Ray, vLLM, TransferQueue and FSDP2 on the CPU, estimators in turn.

The run is the quickstart's, with a learning rate of 0. Its first steps generate, for the time that this takes; in the
others verl replays one step's rollouts (``skip.rollout_tq``), so that both estimators are given exactly the same. All
that follows generation is done in every step.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from hdpo_cost import estimators_take_turns
from hdpo_cost.pairs import in_ms
from verl_hdpo.runs.child_process import log_tail
from verl_hdpo.runs.cpu_run import run_verl

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
GENERATED, WARM_UP = 8, 4
"""Steps that generate, and steps after those that are not timed: the first of them generates what is replayed."""
PARTS = ("step", "adv", "update_actor", "old_log_prob")


def measure(pairs: int) -> dict[str, object]:
    last = GENERATED + WARM_UP + 2 * pairs
    steps = run(last)
    generation = float(np.median([steps[step]["timing_s/gen"] for step in range(3, GENERATED + 1)]))
    timed = range(GENERATED + WARM_UP + 1, last + 1)
    ways = {way: [step for step in timed if estimators_take_turns.way(step) == way] for way in ("grpo", "hdpo")}
    for step in timed:
        assert ("hdpo/tool/pg_loss" in steps[step]) == (step in ways["hdpo"]), f"step {step} was not its estimator's"

    def seconds(part: str, way: str) -> np.ndarray:
        return np.array([steps[step][f"timing_s/{part}"] for step in ways[way]])

    return {
        "generation_ms": round(generation * 1e3, 1),
        "with_generation": in_ms(*(seconds("step", way) + generation for way in ways)),
        "without_generation": {part: in_ms(*(seconds(part, way) for way in ways)) for part in PARTS},
    }


def run(last: int) -> dict[int, dict[str, float]]:
    """The metrics of each step."""
    sys.path.insert(0, str(QUICKSTART))
    from run import build_cold_start
    from training import overrides

    cold_start, steps = ROOT / "outputs" / "quickstart" / "cold-start-seed1", {}
    build_cold_start(cold_start, seed=1)
    with tempfile.TemporaryDirectory(prefix="bench-step-") as folder:
        replayed = ",".join(str(step) for step in range(GENERATED + 1, last + 1))
        log = Path(folder) / "train.log"
        code = run_verl(
            [
                *overrides("hdpo", cold_start, 1, last),
                "actor_rollout_ref.actor.optim.lr=0",
                "trainer.val_before_train=False",
                "trainer.test_freq=-1",
                "skip.rollout_tq.enable=true",
                "skip.rollout_tq.action=repeat",
                f"skip.rollout_tq.steps=[{replayed}]",
                f"skip.rollout_tq.dump_dir={folder}/rollouts",
            ],
            run_dir=folder,
            log_path=log,
            on_metrics=steps.__setitem__,
            env={
                "VERL_USE_EXTERNAL_MODULES": "hdpo_cost.estimators_take_turns",
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
            },
        )
        if code:
            raise SystemExit(f"{log_tail(log, 60)}\n\nThe run failed (exit code {code}).")
    return steps
