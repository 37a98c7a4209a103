"""The recipe in miniature, on the CPU: its three stages in one command, with a model of 0.6 million parameters.

Data in the paper's forms goes through ``verl-hdpo convert``; the cold start, the RL run and the evaluation are stock
verl's and this package's, with the overrides of the recipe's own scripts, made small. It shows that the stages fit
together, not what a model learns: ``make quickstart-vision`` shows that.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
sys.path += [str(EXAMPLES / "vision_zoom"), str(EXAMPLES / "quickstart")]

from verl_hdpo.runs.child_process import log_tail  # noqa: E402
from verl_hdpo.runs.cpu_images import image_environment, use_image_packages  # noqa: E402
from verl_hdpo.runs.cpu_run import run_verl  # noqa: E402
from verl_hdpo.runs.cpu_settings import ENVIRONMENT, cpu_overrides  # noqa: E402
from verl_hdpo.runs.quoted import quoted  # noqa: E402

STEPS, PROMPTS, ROLLOUTS, TRAJECTORIES, QUESTIONS = 10, 4, 4, 160, 6
ROLLOUT, ACTOR = "actor_rollout_ref.rollout", "actor_rollout_ref.actor"
SMALL_SFT = [
    "data.train_batch_size=16", "data.max_length=256", "data.num_workers=0", "model.use_remove_padding=false",
    "++model.override_config.attn_implementation=sdpa", "model.enable_gradient_checkpointing=false",
    "engine.model_dtype=fp32", "++engine.mixed_precision.param_dtype=fp32", "engine.use_torch_compile=false",
    "optim.lr=3e-3", "trainer.n_gpus_per_node=1", "trainer.nnodes=1", "trainer.device=cpu", "trainer.logger=[file]",
    "trainer.resume_mode=disable", "checkpoint.save_contents=[hf_model]",
]  # fmt: skip
SMALL_RL = [
    f"data.train_batch_size={PROMPTS}", f"{ACTOR}.ppo_mini_batch_size={PROMPTS}", f"{ROLLOUT}.n={ROLLOUTS}",
    "data.max_prompt_length=96", "data.max_response_length=64", f"{ROLLOUT}.max_model_len=160",
    f"{ROLLOUT}.max_num_seqs=32", f"{ACTOR}.optim.lr=1e-4", f"{ROLLOUT}.multi_turn.max_assistant_turns=3",
    f"{ROLLOUT}.engine_kwargs.vllm.limit_mm_per_prompt={{image:4,video:0}}", "algorithm.hdpo.max_images=4",
    f"{ROLLOUT}.calculate_log_probs=True", "trainer.logger=[console,file]", "trainer.default_local_dir=checkpoints",
    "trainer.resume_mode=disable", f"{ACTOR}.checkpoint.save_contents=[hf_model]", "trainer.val_before_train=False",
]  # fmt: skip


def encoded(image: Any) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def write_data(folder: Path, seed: int) -> None:
    """Model, trajectories and questions, as the paper's sets have them; one of each is broken."""
    import torch
    from model import make_model
    from pictures import QUESTION, draw
    from processor import make_processor, make_tokenizer
    from vision_cold_start import Dialogue, schemas

    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = make_tokenizer(schemas())
    make_processor(tokenizer).save_pretrained(folder / "untrained")
    make_model(tokenizer, hidden=96, layers=2).save_pretrained(folder / "untrained")
    system = "\n".join(json.dumps(schema) for schema in schemas())
    (folder / "system.txt").write_text(system)

    def trajectory(number: int) -> dict[str, Any]:
        dialogue = Dialogue(draw(rng.choice(["needed", "not_needed"]), rng), ["direct", "zoom", "python"][number % 3])
        said = [{"role": "system", "content": system}]
        for message in dialogue.messages:
            parts = message["content"] if isinstance(message["content"], list) else []
            text = "".join("<image>" if part["type"] == "image" else part["text"] for part in parts)
            calls = [call["function"] for call in message.get("tool_calls", ())]
            text += "".join(f"<tool_call>{json.dumps(call)}</tool_call>" for call in calls)
            role = "user" if message["role"] == "tool" else message["role"]
            said.append({"role": role, "content": text or message["content"]})
        return {"messages": json.dumps(said), "images": [encoded(image) for image in dialogue.images]}

    def question(number: int) -> dict[str, Any]:
        picture = draw("needed" if number % 2 else "not_needed", rng)
        row = {"question": QUESTION, "image": encoded(picture.image), "answer": picture.digit}
        return {**row, "data_source": picture.kind}

    sets = {"trajectories": [trajectory(number) for number in range(TRAJECTORIES)]}
    sets |= {name: [question(i) for i in range(size)] for name, size in (("train", 40), ("validation", QUESTIONS))}
    sets["trajectories"][3]["images"] = []
    sets["train"][5]["image"] = sets["train"][5]["image"][:200]
    for name, rows in sets.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def command(*words: str | Path, env: Mapping[str, str] | None = None) -> str:
    """Run it; returns what it printed.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(
        [str(word) for word in words], env={**os.environ, **(env or {})}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words[:6]))} ...\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def overrides_of(script: str, **env: str | Path) -> list[str]:
    """Those of a script of the recipe."""
    return command(HERE / script, env={"PRINT": "1", **{name: str(value) for name, value in env.items()}}).splitlines()


def cold_start(folder: Path, environment: Mapping[str, str]) -> tuple[Path, list[float]]:
    """The cold start's checkpoint, and its losses."""
    given = overrides_of("cold_start.sh", SFT=folder / "cold_start.parquet", MODEL=folder / "untrained")
    small = [*SMALL_SFT, f"trainer.total_training_steps={STEPS}", f"trainer.save_freq={STEPS}",
             f"trainer.default_local_dir={quoted(folder / 'cold_start')}"]  # fmt: skip
    log, metrics = folder / "cold_start.log", folder / "cold_start.jsonl"
    ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1",
             "MASTER_PORT": "0", "VERL_FILE_LOGGER_PATH": str(metrics)}  # fmt: skip
    with open(log, "w") as out, tempfile.TemporaryDirectory() as own:  # verl's locks and torch's cache go with it
        words = [sys.executable, "-m", "verl.trainer.sft_trainer", *given, *small]
        variables = {**os.environ, **ENVIRONMENT, **environment, **ranks, "TMPDIR": own}
        code = subprocess.run(words, stdout=out, stderr=out, env=variables, cwd=folder).returncode
    if code:
        raise SystemExit(f"{log_tail(log)}\n\nThe cold start failed (exit code {code}); its whole log: {log}")
    rows = [json.loads(line)["data"] for line in metrics.read_text().splitlines()]
    losses = [row["train/loss"] for row in rows if "train/loss" in row]
    return folder / "cold_start" / f"global_step_{STEPS}" / "huggingface", losses


def rl(folder: Path, start: Path, environment: Mapping[str, str]) -> tuple[Path, dict[int, dict[str, Any]]]:
    """The trained checkpoint, and the metrics of each step."""
    out, log, steps = folder / "rl", folder / "rl.log", {}
    code = run_verl(
        [*rl_overrides(folder, start), f"trainer.total_training_steps={STEPS}", f"trainer.save_freq={STEPS}",
         f"trainer.test_freq={STEPS}"],
        run_dir=out, log_path=log, env=environment, on_metrics=steps.__setitem__, stall_timeout=900.0,
    )  # fmt: skip
    if code:
        raise SystemExit(f"{log_tail(log)}\n\nThe RL run failed (exit code {code}); its whole log: {log}")
    return out / "checkpoints" / f"global_step_{STEPS}" / "actor" / "huggingface", steps


def rl_overrides(folder: Path, model: Path) -> list[str]:
    """The recipe's, after them those of the CPU but for Ray's place, and the small ones."""
    tools = EXAMPLES / "vision_zoom" / "tools.yaml"
    files = {"TRAIN": folder / "train.parquet", "VAL": folder / "validation.parquet", "MODEL": model, "TOOLS": tools}
    return [*overrides_of("rl.sh", **files), *cpu_overrides(), *SMALL_RL]


def run(folder: Path, seed: int) -> dict[str, Any]:
    """All of it in ``folder``; returns what came of each stage."""
    environment = image_environment(EXAMPLES / "vision_zoom")
    verl_hdpo = [sys.executable, "-m", "verl_hdpo"]
    write_data(folder, seed)
    convert = [*verl_hdpo, "convert"]
    told = [command(*convert, "sft", folder / "trajectories.jsonl", "--out", folder / "cold_start.parquet",
                    "--bad-rows", "skip")]  # fmt: skip
    for name in ("train", "validation"):
        told.append(command(*convert, "rl", folder / f"{name}.jsonl", "--out", folder / f"{name}.parquet",
                            "--system", folder / "system.txt", "--bad-rows", "skip"))  # fmt: skip
    print(*told, sep="", flush=True)
    start, losses = cold_start(folder, environment)
    print(f"Cold start: loss {losses[0]:.2f} -> {losses[-1]:.2f} in {len(losses)} steps", flush=True)
    trained, steps = rl(folder, start, environment)
    last = steps[STEPS]
    print(f"RL: {max(steps)} steps, tool use {last['hdpo/tool_use_rate']:.0%}", flush=True)
    models = [
        word for label, path in (("before", start), ("after", trained)) for word in ("--model", f"{label}={path}")
    ]
    table = command(
        *verl_hdpo, "eval", "--cpu", *models, "--data", folder / "validation.parquet", "--without", "token",
        "--out", folder / "eval", "--", *rl_overrides(folder, start), env={**ENVIRONMENT, **environment},
    )  # fmt: skip
    print(table)
    return {"bad_rows": [text.count("row") > 1 for text in told], "losses": losses, "steps": steps,
            "figures": json.loads((folder / "eval" / "figures.json").read_text())}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder to keep; default: one that is removed")
    args = parser.parse_args(arguments)
    use_image_packages()
    folder = args.out.resolve() if args.out else Path(tempfile.mkdtemp(prefix="metis"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return run(folder, args.seed)
    finally:
        if not args.out:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
