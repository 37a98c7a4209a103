"""``verl-hdpo price``: what accuracy a call must gain for an algorithm to teach it."""

from __future__ import annotations

from pathlib import Path

import click

from verl_hdpo.cli.algorithms import own_algorithms
from verl_hdpo.cli.numbers import Number, Whole
from verl_hdpo.cli.several_numbers import several_numbers

SHARE = Number(0, 1)
INNER = Number(0, 1, min_open=True, max_open=True)


@click.command(
    cls=several_numbers("--use"), short_help="The accuracy that a call must gain to be taught, by algorithm."
)
@click.option("--algos", required=True, metavar="LIST", callback=own_algorithms,
              help="Algorithms, with knobs in brackets.")  # fmt: skip
@click.option("--right", type=SHARE, help="Share right with a call, where a run does not tell.  [default: 0.8]")
@click.option("--use", "uses", type=INNER, multiple=True, metavar="U...",
              help="Shares of rollouts with a call.  [default: 0.5 0.95]")  # fmt: skip
@click.option("-n", "size", type=Whole(2, 1024), help="Rollouts a prompt, where a run does not tell.  [default: 16]")
@click.option("--cost", type=Number(0), default=1.0, show_default=True, help="Cost of a call, as tool_costs has it.")
@click.option("--answer-weight", type=Number(0, min_open=True),
              help="What a right answer adds to the reward, where a run does not tell.  [default: 1]")  # fmt: skip
@click.option("--run", type=click.Path(exists=True, path_type=Path),
              help="Read right and use of a run: its metrics (verl's file logger) or rollout dump.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON: algo, and prices in points, one per --use.")
@click.argument("strays", nargs=-1, metavar="")
def price(
    algos: str, right: float | None, uses: tuple[float, ...], size: int | None, cost: float,
    answer_weight: float | None, run: Path | None, as_json: bool, strays: tuple[str, ...],
) -> None:  # fmt: skip
    """Print the price of a call of each algorithm, in points of accuracy.

    \b
        verl-hdpo price --algos 'hdpo,priced[price=0.1],grpo_penalty[a=0.3]' --right 0.8 --use 0.1 0.5 0.9 -n 8
        verl-hdpo price --algos hdpo,priced --run logs/my_run.jsonl

    A call that gains less than its price is unlearned, one that gains more is kept. How it is computed:
    docs/algorithms.md.
    """
    from verl_hdpo.compare.pricing.report import Given, report

    if strays:
        raise click.UsageError(
            f"{strays[0]!r} belongs to no option; only --use takes several numbers, and a list with spaces needs "
            f"quotes, as in --algos 'hdpo, priced'"
        )
    if uses and run:
        raise click.UsageError(f"--use {uses[0]:g} and --run {run}: the run tells how often it calls; give one of them")
    report(algos, Given(right, size, answer_weight), uses or (0.5, 0.95), cost, run, as_json)
