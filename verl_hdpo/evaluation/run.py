"""``evaluate``: the rollouts of each model that are still missing, at its server or at one started, and the figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import click
from omegaconf import DictConfig

from verl_hdpo.evaluation.connection import connected
from verl_hdpo.evaluation.model import Model
from verl_hdpo.evaluation.record import Record, RecordFile, pending
from verl_hdpo.evaluation.report import write_report
from verl_hdpo.evaluation.request import Request
from verl_hdpo.evaluation.run_config import question_files, run_config
from verl_hdpo.runs.cpu_settings import cpu_overrides
from verl_hdpo.runs.hub import check_model
from verl_hdpo.runs.quoted import quoted
from verl_hdpo.runs.terminal import doing, progress, say


def evaluate(request: Request) -> None:
    """Do it, or go on with it.

    Raises:
        click.ClickException: options that do not fit together, or a model of which no outcome is known.
    """
    if request.benchmarks:
        from verl_hdpo.evaluation.benchmarks.run import evaluate as evaluate_benchmarks

        return evaluate_benchmarks(request)
    configs = {}
    for model in request.each_model():  # all, before the first is started
        with doing(f"{model.label}: composing its config and looking for its files"):
            config = model_config(model, request)
            configs[model] = config, question_files(config, request.data)
    request.out.mkdir(parents=True, exist_ok=True)
    records = {}
    for model, (config, data) in configs.items():
        file = RecordFile(request.out / model.folder / "records.jsonl", request.made_of(model, data))
        records[model.label] = asyncio.run(_records(model, request, config, data, file))
    write_report(records, request)
    if unknown := [
        label
        for label, found in records.items()
        if all(record.correct is None for record in found if record.arm == "free")
    ]:
        raise click.ClickException(
            f"{', '.join(unknown)}: not one outcome is known, so that nothing is said of accuracy; see why the judge, "
            f"the reward function or the tools gave none, then give the same command: it asks those again"
        )


def model_config(model: Model, request: Request, drawn: bool = False) -> DictConfig:
    """The config of the run with this model.

    Args:
        drawn: a seed changes what is asked, not only what is sampled.
    """
    if not model.is_chat:
        check_model(model.path)
    base = cpu_overrides() if request.cpu else []
    config = run_config(
        request.config, [*base, *request.overrides, f"actor_rollout_ref.model.path={quoted(model.path)}"]
    )
    if request.rollouts > 1 and not config.actor_rollout_ref.rollout.val_kwargs.temperature:
        raise click.UsageError(
            f"-n {request.rollouts}: with actor_rollout_ref.rollout.val_kwargs.temperature=0, verl's default, all "
            f"{request.rollouts} answers to a question are the same; set it as the run that trained the model does"
        )
    if len(request.seeds) > 1 and not drawn and not config.actor_rollout_ref.rollout.val_kwargs.temperature:
        raise click.UsageError(
            "--seeds: with actor_rollout_ref.rollout.val_kwargs.temperature=0, verl's default, all seeds answer the "
            "same; set it higher, or give one seed"
        )
    return config


async def _records(
    model: Model, request: Request, config: DictConfig, data: Sequence[str], file: RecordFile
) -> list[Record]:
    """The records asked for; verl's workers belong to the event loop that this runs in.

    Args:
        config: of the run.
        data: files with the questions.
        file: where the records are kept.
    """
    from verl_hdpo.evaluation.counterfactual import exchange_for, to_exchange
    from verl_hdpo.evaluation.rollouts import Rollouts  # seconds, for what takes none has been checked

    rollouts = Rollouts(config, request.arms, request.seed, request.call_start, request.without == "token")
    questions = rollouts.questions(data, request.samples)
    todo = list(pending(request.arms, len(questions), request.rollouts, file.records))
    again = "counterfactual" in request.arms
    if todo or (again and any(to_exchange(file.records, len(questions), request.rollouts))):
        log = request.out / model.folder / "vllm.log"
        async with connected(model, config, log, request.cpu) as endpoint:
            made = f"{len(todo)} rollouts to make, {len(file.records)} made"
            say(f"{model.label}: {made}; {endpoint.model} at {endpoint.url}", err=True)
            rollouts.use(endpoint)
            await _make(
                [partial(rollouts.run, *which, questions[which[1]]) for which in todo],
                file, request.concurrency, model.label,
            )  # fmt: skip
            if again:  # once the free ones are there
                free = list(to_exchange(file.records, len(questions), request.rollouts))
                others = list(file.records.values())
                await _make(
                    [
                        partial(
                            rollouts.run, "counterfactual", one.question, one.rollout, questions[one.question],
                            one.turns[:-1], exchange_for(one, others, request.seed),
                        )
                        for one in free
                    ],
                    file, request.concurrency, f"{model.label}, answers exchanged",
                )  # fmt: skip
    return [
        record
        for record in file.records.values()
        if record.arm in request.arms and record.question < len(questions) and record.rollout < request.rollouts
    ]


async def _make(
    asked: Sequence[Callable[[], Awaitable[Record]]], file: RecordFile, concurrency: int, label: str
) -> None:
    with progress(label, len(asked), tenths=True) as advance:
        await make_records(asked, file, asyncio.Semaphore(concurrency), advance)


async def make_records(
    asked: Sequence[Callable[[], Awaitable[Record]]],
    file: RecordFile,
    slots: asyncio.Semaphore,
    advance: Callable[[float], None],
) -> None:
    """Keep the record that each of ``asked`` makes in ``file``; so many at a time as there are ``slots``."""

    async def one(ask: Callable[[], Awaitable[Record]]) -> None:
        async with slots:
            file.add(await ask())
        advance(1)

    tasks = [asyncio.create_task(one(ask)) for ask in asked]
    try:
        await asyncio.gather(*tasks)
    finally:  # one that fails ends the evaluation; the others are not left behind
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
