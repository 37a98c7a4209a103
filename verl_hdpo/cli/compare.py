"""``verl-hdpo compare``: several algorithms on one pipeline, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verl_hdpo.cli.address import ADDRESS
from verl_hdpo.cli.algorithms import known_algorithms
from verl_hdpo.cli.numbers import ABOVE_0, Whole
from verl_hdpo.compare.seeds import Seeds
from verl_hdpo.runs.log_to import log_to_option
from verl_hdpo.runs.verl_command import VerlCommand, cpu_option, needs_extra, verl_options

if TYPE_CHECKING:
    from verl_hdpo.compare.file import ComparisonFile

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def take_file(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> ComparisonFile:
    """What --config holds, as the other options' defaults."""
    from verl_hdpo.compare import file

    return file.take(ctx, parameter, path)


@click.command(cls=VerlCommand, short_help="Train with several algorithms; report how they differ.")
@click.option("--config", "file", is_eager=True, callback=take_file, type=FILE,
              help="YAML with these options by name, and overrides; what is also given here wins.")  # fmt: skip
@click.option("--algos", required=True, metavar="LIST", callback=known_algorithms,
              help="Algorithms, with knobs in brackets.")  # fmt: skip
@click.option("--seeds", type=Seeds(), default="3", show_default=True, help="How many (3: seeds 1, 2, 3), or a list.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("outputs/compare"),
              show_default=True, help="Folder of runs and report; given again, it goes on.")  # fmt: skip
@click.option("--title", default="Comparison of algorithms", show_default=True, help="Heading of the report.")
@cpu_option("Train")
@click.option(
    "--stall-timeout",
    type=ABOVE_0,
    default=900.0,
    show_default=True,
    help="CPU: seconds without a step that end a run.",
)
@click.option("--ray-jobs", type=ADDRESS, metavar="URL", help="Run as Ray jobs, on the cluster with this dashboard.")
@click.option("--at-once", type=Whole(1), default=1, show_default=True, help="Ray jobs that go on at a time.")
@log_to_option
@click.option("--json", "as_json", is_flag=True, help="Print what summary.csv holds as JSON; progress goes to stderr.")
@click.option("--dry-run", is_flag=True, help="Check the configs and print the commands.")
@verl_options
def compare(file: ComparisonFile, **given: Any) -> None:
    """Train with each algorithm and each seed on the pipeline that OVERRIDES describe, and report.

    \b
        verl-hdpo compare --config comparison.yaml
        verl-hdpo compare --algos grpo,grpo_penalty,gdpo,hdpo --seeds 3 -- data.train_files=... trainer.test_freq=10 ...
        verl-hdpo compare --algos 'hdpo,hdpo[w_tool=0.5],grpo_penalty[a=0.5,gated=true]' --seeds 1,7 -- ...

    Runs differ in algorithm.adv_estimator, in the knobs in brackets (settings of the algorithm, or whole keys with a
    dot) and in the seed, of data order, sampling and mini-batches; {seed} in an override stands for it, and {run} for a
    name of the run's own. All configs are checked before the first run starts. Results: report.html, metrics.csv,
    summary.csv and PNGs in --out.
    """
    with needs_extra("report"):
        from verl_hdpo.compare.comparison import Comparison
    Comparison(**{**given, "overrides": [*file.overrides, *given["overrides"]]}).run()
