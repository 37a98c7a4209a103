"""``verl-hdpo audit``: what each algorithm would have rewarded in a dump, and what is wrong with the dump."""

from __future__ import annotations

from pathlib import Path

import click

from verl_hdpo.cli.algorithms import own_algorithms
from verl_hdpo.cli.plain_errors import BadInput
from verl_hdpo.runs.log_to import log_to_option


def _there(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    if not path.exists():
        raise BadInput(f"{path} does not exist; name the folder of a run's dump, or of an evaluation")
    return path


def _columns(context: click.Context, parameter: click.Parameter, text: str) -> str:
    from verl_hdpo.evaluation.dumps.named_columns import parse_columns

    if text:
        parse_columns(text)  # told before torch is imported
    return text


@click.command(short_help="What each algorithm would have rewarded in a dump of rollouts, and its defects.")
@click.argument("where", metavar="DUMP", type=click.Path(path_type=Path), callback=_there)
@click.option("--algos", default="grpo,grpo_penalty,tool_gdpo,hdpo,priced", show_default=True, metavar="LIST",
              callback=own_algorithms, help="Algorithms, with knobs in brackets.")  # fmt: skip
@click.option("--columns", default="", metavar="MEANING=COLUMN,...", callback=_columns,
              help="Of files of no known format: prompt=..., answer=..., reward=..., calls=...")  # fmt: skip
@log_to_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def audit(ctx: click.Context, where: Path, algos: str, columns: str, log_to: tuple[str, ...], as_json: bool) -> None:
    """Replay the rollouts in DUMP, a file or a folder, under each algorithm. Takes no GPU and trains nothing.

    \b
        verl-hdpo audit outputs/run/rollouts
        verl-hdpo audit completions/ --algos 'hdpo,priced[price=0.05]'
        verl-hdpo audit rows.jsonl --columns prompt=question,answer=text,reward=score,calls=n_tools

    DUMP holds verl's rollout_data_dir, the --out of verl-hdpo eval, results.jsonl of verifiers, TRL's completions, or
    rows whose columns --columns names. Exit status: 1 if a defect was found, else 0; 2 on bad input.
    """
    from verl_hdpo.compare.audit import report, run
    from verl_hdpo.evaluation.logged import log_report
    from verl_hdpo.runs.terminal import doing

    with doing(f"reading {where}"):
        found = run.audit(where, algos, columns)
    (report.print_json if as_json else report.print_audit)(found)
    log_report(log_to, "audit", where.name, report.logged(found))
    ctx.exit(1 if found.defects else 0)
