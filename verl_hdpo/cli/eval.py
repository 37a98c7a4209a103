"""``verl-hdpo eval``: how a model uses its tools, and whether it needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from verl_hdpo.cli.address import ADDRESS
from verl_hdpo.cli.numbers import Whole
from verl_hdpo.evaluation.record import DEFAULT_ARMS
from verl_hdpo.evaluation.request import Request, read_arms, read_list, read_seeds
from verl_hdpo.runs.log_to import log_to_option
from verl_hdpo.runs.verl_command import VerlCommand, cpu_option, needs_extra, verl_options


@click.command("eval", cls=VerlCommand, short_help="Measure tool use: needed, needless, missed.")
@click.option("--model", "models", multiple=True, required=True, metavar="[LABEL=]PATH",
              help="Checkpoint, or hub id; again for a second one to compare with.")  # fmt: skip
@click.option("--endpoint", "endpoints", type=ADDRESS, multiple=True, metavar="URL",
              help="Where the model is served (one per --model); default: vLLM is started.")  # fmt: skip
@click.option("--served-name", "served_names", multiple=True,
              help="Its name there, if there are several (one per --model).")  # fmt: skip
@click.option("--api-key-env", help="Environment variable with the endpoint's key; beside chats, with theirs.")
@click.option("--data", multiple=True, type=click.Path(), help="Questions; default: data.val_files.")
@click.option("--benchmark", "benchmarks", multiple=True, metavar="NAME[=PATH]",
              help="In place of --data: bfcl, when2call, metatool or metatool-tools; PATH: its data.")  # fmt: skip
@click.option("--templates", default="none", show_default=True, callback=read_list,
              help="System messages of a benchmark: none, assistant, brief, tools, or text files.")  # fmt: skip
@click.option("--seeds", default="0", show_default=True, callback=read_seeds, help="Of a benchmark's answers.")
@click.option("--api", "apis", multiple=True, type=click.Choice(["completions", "chat"]),
              help="What the endpoint is asked through (one per --model); chat only with --benchmark.")  # fmt: skip
@click.option("--samples", type=Whole(1), callback=lambda context, parameter, first: first or -1, show_default="all",
              help="Only the first questions; of a benchmark, of each part and label.")  # fmt: skip
@click.option("-n", "rollouts", type=Whole(1), default=1, show_default=True, help="Rollouts per question.")
@click.option("--arms", default=",".join(DEFAULT_ARMS), show_default=True, callback=read_arms,
              help="free: with tools; without: none; forced: begins with a call; counterfactual: other tool answers."
              )  # fmt: skip
@click.option("--without", type=click.Choice(["prompt", "token"]), default="prompt", show_default=True,
              help="How tools are taken away: out of the prompt, or by banning the first token of a call.")  # fmt: skip
@click.option("--call-start", help="What a call begins with; default: what verl's parser looks for.")
@click.option("--seed", default=0, show_default=True, help="Of sampling and of the bootstrap.")
@click.option("--concurrency", type=Whole(1), default=32, show_default=True, help="Rollouts at a time.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("outputs/eval"),
              show_default=True, help="Folder of records and figures; given again, it goes on.")  # fmt: skip
@log_to_option
@click.option("--json", "as_json", is_flag=True, help="Print what figures.json holds, in place of tables.")
@cpu_option("Serve")
@verl_options
def evaluate(**given: Any) -> None:
    """Measure how a model uses its tools on a set of questions.

    OVERRIDES are those of the run that trained it: tools, tool format, agent loop, lengths, validation's sampling and
    the reward are taken from there, so that the figures are those of the run's own validation, and more.

    \b
        verl-hdpo eval --model before=start/ --model after=trained/ --data questions.parquet -- <overrides of the run>
        verl-hdpo eval --model trained/ --endpoint http://host:8000 -- ...

    Each question is answered with its tools, without them, and beginning with a call: a call was needless
    where the model is right without, and missed where it answered directly and wrong, and is right with one.

    With --benchmark the labels of a published benchmark say where a call is right; no tool is run.
    """
    from verl_hdpo.runs.terminal import doing

    with needs_extra("report"), doing("importing torch and verl"):
        from verl_hdpo.evaluation.run import evaluate
    evaluate(Request(**given))
