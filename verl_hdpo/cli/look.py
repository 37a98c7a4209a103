"""``verl-hdpo look``: the rollouts of a run or an evaluation, to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from verl_hdpo.cli.numbers import Whole

KINDS = ("called-right", "needless", "missed", "correct", "wrong", "unknown", "lost")


@click.command(short_help="Read the rollouts of a run or an evaluation.")
@click.argument("where", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), show_default="look.html; with --export look.FORM.jsonl",
              help="The page to write; with --export, the file.")  # fmt: skip
@click.option("--steps", default="", metavar="FIRST:LAST", help="Only these training steps: 12, 10:20, 10: or :20.")
@click.option("--tty", is_flag=True, help="Show them in this terminal, and write nothing.")
@click.option("--only", "kind", type=click.Choice(KINDS),
              help="With --tty, --json or --export: only rollouts of this kind.")  # fmt: skip
@click.option("--limit", type=Whole(1), show_default="20", help="With --tty: groups to show.")
@click.option("--export", "form", type=click.Choice(["atif", "otel"]),
              help="Write lines of ATIF trajectories, or OpenTelemetry GenAI spans, in place of the page.")  # fmt: skip
@click.option("--columns", default="", metavar="MEANING=COLUMN,...",
              help="Of files of no known format: prompt=..., answer=..., reward=..., calls=...")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the figures of each rollout as JSON, and write nothing.")
def look(where: Path, **given: Any) -> None:
    """Write one HTML page of all rollouts in DIR, a file or a folder: open it in any browser, without a network.

    \b
        verl-hdpo look outputs/run/rollouts
        verl-hdpo look outputs/eval --tty --only needless

    DIR holds what trainer.rollout_data_dir and trainer.validation_data_dir were given, or the --out of verl-hdpo eval.
    A run that is still running can be looked at too.
    """
    from verl_hdpo.evaluation.look.show import Wanted, show

    show(where, Wanted(**given))
