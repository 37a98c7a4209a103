"""``verl-hdpo curate``: leave out what teaches nothing, or teaches something wrong."""

from __future__ import annotations

import os
from pathlib import Path

import click

from verl_hdpo.cli.address import ADDRESS
from verl_hdpo.cli.numbers import ABOVE_0, Whole
from verl_hdpo.runs.verl_command import needs_extra


@click.command(short_help="Leave out rows that are wrong or need no tools.")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="parquet to write.")
@click.option("--reexecute", is_flag=True, help="Run the code of trajectories again, in the sandbox.")
@click.option("--timeout", type=ABOVE_0, default=30.0, show_default=True, help="Seconds for one run of code.")
@click.option(
    "--solver", type=ADDRESS, metavar="URL", help="OpenAI-compatible server of a model that answers without tools."
)
@click.option("--solver-model", help="Its name there.")
@click.option("--tries", type=Whole(1), default=8, show_default=True, help="Answers to each question.")
@click.option(
    "--judge", type=ADDRESS, metavar="URL", help="OpenAI-compatible server of a model that judges trajectories."
)
@click.option("--judge-model", help="Its name there.")
@click.option("--api-key-env", help="Environment variable with the servers' key.")
@click.option("--concurrency", type=Whole(1), default=8, show_default=True, help="Rows at a time.")
def curate(
    source: Path, out: Path, reexecute: bool, timeout: float, solver: str | None, solver_model: str | None, tries: int,
    judge: str | None, judge_model: str | None, api_key_env: str | None, concurrency: int,
) -> None:  # fmt: skip
    """Check the rows of SOURCE, which verl-hdpo convert wrote, and write those that pass to --out.

    \b
        verl-hdpo curate cold_start.parquet --out curated.parquet --reexecute
        verl-hdpo curate train.parquet --out hard.parquet --solver http://host:8000 --solver-model base

    The same command again goes on where it stopped. What was dropped and why: x.report.md for --out x.parquet.
    """
    if not (reexecute or solver or judge):
        raise click.UsageError("nothing to check: give --reexecute, --solver or --judge")
    for option, url, model in (("solver", solver, solver_model), ("judge", judge, judge_model)):
        if url and not model:
            raise click.UsageError(f"--{option} needs the model's name: --{option}-model")
    if api_key_env and api_key_env not in os.environ:
        raise click.UsageError(f"--api-key-env: the environment has no variable {api_key_env}")
    with needs_extra("tools"):
        from verl_hdpo.evaluation.datasets.curation.run import curate
    from verl_hdpo.evaluation.datasets.curation.checks import checks
    from verl_hdpo.runs.terminal import say_each

    key = os.environ.get(api_key_env) if api_key_env else None
    asked = {"solve": (solver, solver_model), "judge": (judge, judge_model)}
    say_each(f"checking {source}", curate(source, out, checks(reexecute, timeout, asked, tries, key), concurrency))
