"""HDPO, GRPO, GDPO and mixed rewards on two small tasks, with a report of each: ``verl-hdpo compare`` on 2 CPU cores.

    .venv/bin/python recipes/comparison/compare.py --task quickstart
    .venv/bin/python recipes/comparison/compare.py --task mixed

Each takes hours. Stopped, it goes on where it was: finished runs are not done again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUICKSTART = ROOT / "examples" / "quickstart"
sys.path.insert(0, str(QUICKSTART))

import mixed  # noqa: E402
import questions  # noqa: E402
import run as quickstart  # noqa: E402
import training  # noqa: E402
from cold_start import Recipe  # noqa: E402

from verl_hdpo.compare.seeds import Seeds  # noqa: E402
from verl_hdpo.runs.quoted import quoted  # noqa: E402

STEPS = 24
VALIDATED = 2
"""Answers to each validation question."""


ALGOS = (
    "hdpo",
    "grpo",
    "gdpo",
    *(f"grpo_penalty[a={a}{gated}]" for gated in (",gated=true", "") for a in (0.1, 0.3, 1.0)),
)


class Task(NamedTuple):
    title: str
    deal: Callable[[int], questions.Split]
    tools: Path
    recipe: Recipe | None
    algos: tuple[str, ...] = ALGOS
    overrides: tuple[str, ...] = ()


TASKS = {
    "quickstart": Task("Groups nearly all correct", questions.split, training.TOOLS, None),
    "mixed": Task(
        "Groups of mixed correctness",
        mixed.mixed,
        HERE / "flaky_calculator.py",
        mixed.RECIPE,
        ("hdpo", *(f"hdpo[w_tool={weight}]" for weight in (0.3, 0.5, 1.0)), *ALGOS[1:]),
        ("actor_rollout_ref.actor.optim.lr=4e-4",),
    ),
}


def seeds(text: str) -> list[int]:
    """As verl-hdpo compare reads them."""
    try:
        return Seeds().convert(text, None, None)
    except click.UsageError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--algos", help="as of verl-hdpo compare (default: those that --dry-run shows)")
    parser.add_argument("--seeds", type=seeds, default="3", help="how many, or a list: 4,5 (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=STEPS, help="RL steps of a run (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="default: outputs/comparison/TASK")
    parser.add_argument(
        "--dry-run", action="store_true", help="check the configs and print the commands, once the models are there"
    )
    args = parser.parse_args()
    task = TASKS[args.task]
    out = (args.out or ROOT / "outputs" / "comparison" / args.task).resolve()
    for seed in args.seeds:
        quickstart.build_cold_start(out / f"start-{seed}", seed, task.deal, task.tools, task.recipe)
    algos = args.algos or ",".join(task.algos)
    command = ["verl-hdpo", "compare", "--cpu", "--algos", algos, "--seeds", "".join(f"{seed}," for seed in args.seeds)]
    command += ["--title", task.title, "--out", str(out), *(["--dry-run"] if args.dry_run else [])]
    pipeline = training.pipeline(out / "start-{seed}", args.steps, task.tools)
    # Asked again as questions of their own: of several answers to one, verl bootstraps the best, which takes longer.
    files = ",".join([quoted(out / "start-{seed}" / "validation.parquet")] * VALIDATED)
    validation = [f"data.val_files=[{files}]", "trainer.val_before_train=False"]
    command += ["--", *pipeline, *validation, *task.overrides]
    os.execv(Path(sys.executable).with_name("verl-hdpo"), command)


if __name__ == "__main__":
    main()
