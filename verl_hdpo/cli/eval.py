"""``verl-hdpo eval``: how a model uses its tools, and whether it needs them."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from verl_hdpo.runs.verl_command import VerlCommand, VerlConfig, needs_extra, verl_options

ARMS = ("free", "without", "forced")
DEFAULTS = {
    "actor_rollout_ref.rollout.name": (None, "vllm"),
    "actor_rollout_ref.rollout.agent.default_agent_loop": ("single_turn_agent", "hdpo_tool_agent"),
    "reward.reward_manager.name": ("naive", "hdpo"),
}
"""What is taken in place of verl's own value, where neither the run's config nor its overrides say another."""


@click.command("eval", cls=VerlCommand, short_help="Measure tool use: needed, needless, missed.")
@click.option("--model", "models", multiple=True, required=True, metavar="[LABEL=]PATH",
              help="Checkpoint, or hub id; again for a second one to compare with.")  # fmt: skip
@click.option("--endpoint", "endpoints", multiple=True, metavar="URL",
              help="Where the model is served (one per --model); default: vLLM is started.")  # fmt: skip
@click.option("--served-name", "names", multiple=True, help="Its name there, if there are several (one per --model).")
@click.option("--api-key-env", help="Environment variable with the endpoint's key.")
@click.option("--data", "files", multiple=True, type=click.Path(), help="Questions; default: data.val_files.")
@click.option("--samples", default=-1, help="Only the first questions.", show_default="all")
@click.option("-n", "rollouts", type=click.IntRange(1), default=1, show_default=True, help="Rollouts per question.")
@click.option("--arms", default=",".join(ARMS), show_default=True,
              help="free: tools at hand; without: none; forced: begins with a call.")  # fmt: skip
@click.option("--without", type=click.Choice(["prompt", "token"]), default="prompt", show_default=True,
              help="How tools are taken away: out of the prompt, or by banning the first token of a call.")  # fmt: skip
@click.option("--call-start", help="What a call begins with; default: what verl's parser looks for.")
@click.option("--seed", default=0, show_default=True, help="Of sampling and of the bootstrap.")
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Rollouts at a time.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("outputs/eval"),
              show_default=True, help="Folder of records and figures; given again, it goes on.")  # fmt: skip
@click.option("--cpu", is_flag=True, help="Serve on the CPU; as VERL_PLATFORM=cpu.")
@verl_options
def evaluate(
    models: tuple[str, ...],
    endpoints: tuple[str, ...],
    names: tuple[str, ...],
    api_key_env: str | None,
    files: tuple[str, ...],
    samples: int,
    rollouts: int,
    arms: str,
    without: str,
    call_start: str | None,
    seed: int,
    concurrency: int,
    out: Path,
    cpu: bool,
    config_name: str,
    config_path: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Measure how a model uses its tools on a set of questions.

    OVERRIDES are those of the run that trained it: tools, tool format, agent loop, lengths, validation's sampling and
    the reward are taken from there, so that the figures are those of the run's own validation, and more.

    \b
        verl-hdpo eval --model before=start/ --model after=trained/ --data questions.parquet -- <overrides of the run>
        verl-hdpo eval --model trained/ --endpoint http://host:8000 -- ...

    Each question is answered with the tools at hand, without them, and beginning with a call: a call was needless
    where the model is right without, and missed where it answered directly and wrong, and is right with one.
    """
    chosen = tuple(arm.strip() for arm in arms.split(","))
    if unknown := [arm for arm in chosen if arm not in ARMS]:
        raise click.UsageError(f"--arms: {', '.join(unknown)}; known: {', '.join(ARMS)}")
    if "free" not in chosen:
        raise click.UsageError("--arms must have free: the others are measured against it")
    for option, values in (("--endpoint", endpoints), ("--served-name", names)):
        if values and len(values) != len(models):
            raise click.UsageError(f"{len(models)} x --model and {len(values)} x {option}: give one for each")
    cpu = cpu or os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"
    base: list[str] = []
    if cpu:
        from verl_hdpo.cpu.settings import cpu_overrides

        os.environ["VERL_PLATFORM"] = "cpu"
        base = cpu_overrides()
    if api_key_env and api_key_env not in os.environ:
        raise click.UsageError(f"--api-key-env: the environment has no variable {api_key_env}")
    with needs_extra("report"):
        from verl_hdpo.evaluation import report as _  # noqa: F401
        from verl_hdpo.evaluation.record import RecordFile
        from verl_hdpo.evaluation.run import Model, Request
        from verl_hdpo.evaluation.run import records as make_records
        from verl_hdpo.runs.fingerprint import fingerprint, of_inputs
        from verl_hdpo.runs.quoted import quoted

    none = [None] * len(models)
    key = os.environ.get(api_key_env) if api_key_env else None
    asked = [
        Model.parse(text, url=url, name=name, api_key=key)
        for text, url, name in zip(models, endpoints or none, names or none, strict=True)
    ]
    labels = [model.label for model in asked]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise click.UsageError(f"two models are called {twice}; name them: --model LABEL=PATH")
    options = VerlConfig(config_name, config_path, config_dir)
    request = Request(chosen, samples, rollouts, without == "token", call_start, seed, concurrency, cpu)
    records = {}
    with _told_plainly():
        for model in asked:
            given = [*base, *overrides, f"actor_rollout_ref.model.path={quoted(model.path)}"]
            config, data_files = _config(options, given, files)
            if rollouts > 1 and not config.actor_rollout_ref.rollout.val_kwargs.temperature:
                raise click.UsageError(
                    f"-n {rollouts}: with actor_rollout_ref.rollout.val_kwargs.temperature=0, verl's default, all "
                    f"{rollouts} answers to a question are the same; set it as the run that trained the model does"
                )
            made_of = {
                **model.made_of, **request.made_of, "data": [fingerprint(file) for file in data_files],
                "overrides": list(overrides), "config": options.arguments, "cpu": cpu,
                "files": of_inputs([*overrides, *options.arguments]),
            }  # fmt: skip
            file = RecordFile(out / model.label.replace("/", "_") / "records.jsonl", made_of)
            records[model.label] = asyncio.run(make_records(model, request, config, data_files, file))
        _write(records, out, seed, {"arms": list(chosen), "rollouts": rollouts, "without": without, "seed": seed})


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    """What a user can put right is said without a traceback."""
    from omegaconf.errors import OmegaConfBaseException

    from verl_hdpo.adapters.evaluation import EvaluationError
    from verl_hdpo.evaluation.endpoint import EndpointError
    from verl_hdpo.evaluation.record import RecordError
    from verl_hdpo.evaluation.rows import RowsError
    from verl_hdpo.evaluation.served_model import ServerError
    from verl_hdpo.outcomes.outcome import OutcomeError
    from verl_hdpo.settings.group import SettingsError

    known = (
        EvaluationError, EndpointError, SettingsError, OmegaConfBaseException, OutcomeError, RecordError, RowsError,
        ServerError,
    )  # fmt: skip
    try:
        yield
    except known as error:
        raise click.ClickException(str(error)) from None


def _config(options: VerlConfig, overrides: Sequence[str], files: Sequence[str]) -> tuple[Any, list[str]]:
    """The composed config and the files with the questions, once every row is found to be right."""
    from hydra.errors import HydraException
    from omegaconf import ListConfig, OmegaConf

    from verl_hdpo.doctor.run_config import compose
    from verl_hdpo.evaluation.rows import check_rows

    try:
        config = compose(options.config_name, options.config_path, options.config_dir, list(overrides))
    except HydraException as error:
        raise click.ClickException(f"the overrides do not fit verl's config: {error}") from None
    named = {override.lstrip("+").partition("=")[0] for override in overrides}
    for setting, (stock, ours) in DEFAULTS.items():
        if setting not in named and OmegaConf.select(config, setting) == stock:
            OmegaConf.update(config, setting, ours)
    given = files or config.data.val_files
    data_files = [str(file) for file in (given if isinstance(given, list | tuple | ListConfig) else [given])]
    if not (config.data.get("custom_cls") or {}).get("path"):
        check_rows(data_files, config.data.get("prompt_key", "prompt"))
    return config, data_files


def _write(records: dict[str, list], out: Path, seed: int, facts: dict[str, Any]) -> None:
    from verl_hdpo.evaluation.report import as_json, difference_table, draw, table
    from verl_hdpo.evaluation.side_by_side import joined, side_by_side
    from verl_hdpo.evaluation.tool_use import per_source

    models = {label: per_source(found, seed) for label, found in records.items()}
    for line in table(models):
        click.echo(line)
    changes = {}
    for first, second in pairwise(records):
        pair = f"{first} -> {second}"
        changes[pair] = side_by_side(records[first], records[second], seed)
        for line in difference_table(first, second, changes[pair]):
            click.echo(line)
        rows = list(joined(records[first], records[second]))
        with open(out / f"{first}-{second}.csv".replace("/", "_"), "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0] if rows else ["question"])
            writer.writeheader()
            writer.writerows(rows)
    (out / "figures.json").write_text(json.dumps(as_json(models, changes, facts), indent=2) + "\n")
    draw(models, out / "figures.png")
    click.echo(f"\nFigures: {out / 'figures.json'}, {out / 'figures.png'}; every rollout: records.jsonl beside them")
