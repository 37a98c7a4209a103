"""The rollouts of one model for ``verl-hdpo eval``: those still missing are made, at its server or at one started."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from omegaconf import DictConfig
from tqdm import tqdm

from verl_hdpo.adapters.evaluation import Rollouts, pending
from verl_hdpo.evaluation.endpoint import Endpoint
from verl_hdpo.evaluation.record import Arm, Record, RecordFile
from verl_hdpo.evaluation.served_model import served
from verl_hdpo.runs.fingerprint import fingerprint


@dataclass(frozen=True)
class Model:
    """A model, and where it is served.

    Attributes:
        label: what the figures call it.
        path: checkpoint or hub id, of which tokenizer and config are read in any case.
        url: of its server; None: one is started.
        name: its name there; None: the only one.
        api_key: of that server.
    """

    label: str
    path: str
    url: str | None = None
    name: str | None = None
    api_key: str | None = None

    @classmethod
    def parse(cls, text: str, **where: str | None) -> Model:
        """``[LABEL=]PATH``; the label is by default the folder's name."""
        label, equals, path = text.partition("=")
        if not equals or "/" in label:
            label, path = Path(text.rstrip("/")).name or text, text
        return cls(label, path, **where)

    @property
    def made_of(self) -> dict[str, Any]:
        """What its rollouts depend on."""
        return {"model": fingerprint(self.path), "endpoint": self.url, "served_name": self.name}


@dataclass(frozen=True)
class Request:
    """What is asked of each model.

    Attributes:
        arms: what it can do in which rollouts.
        samples: only the first questions; -1: all.
        rollouts: of each question in each arm.
        ban_calls, call_start, seed: as of :class:`Rollouts`.
        concurrency: rollouts at a time.
        cpu: a server that is started runs on the CPU.
    """

    arms: tuple[Arm, ...]
    samples: int
    rollouts: int
    ban_calls: bool
    call_start: str | None
    seed: int
    concurrency: int
    cpu: bool

    @property
    def made_of(self) -> dict[str, Any]:
        """What the rollouts depend on; more arms, or rollouts, can be added to those there are."""
        return {"ban_calls": self.ban_calls, "call_start": self.call_start, "seed": self.seed, "samples": self.samples}


async def records(
    model: Model, request: Request, config: DictConfig, files: Sequence[str], file: RecordFile
) -> list[Record]:
    """The records asked for; verl's workers belong to the event loop that this runs in.

    Args:
        config: of the run.
        files: with the questions.
        file: where the records are kept.
    """
    rollouts = Rollouts(config, request.arms, request.seed, request.call_start, request.ban_calls)
    questions = rollouts.questions(files, request.samples)
    todo = list(pending(request.arms, len(questions), request.rollouts, file.records))
    if todo:
        log = file.path.with_name("vllm.log")
        with _server(model, config, log, request.cpu) as url:
            name = model.name if model.url else model.path  # by name, lest another server has come to that port
            endpoint = Endpoint(url, name, model.api_key, connections=request.concurrency)
            try:
                name = await endpoint.connect()
                click.echo(f"{model.label}: {len(todo)} rollouts to make, {len(file.records)} made; {name} at {url}")
                rollouts.use(endpoint)
                await _make(rollouts, questions, todo, file, request.concurrency, model.label)
            finally:
                await endpoint.close()
    return [
        record
        for record in file.records.values()
        if record.arm in request.arms and record.question < len(questions) and record.rollout < request.rollouts
    ]


@contextlib.contextmanager
def _server(model: Model, config: DictConfig, log: Path, cpu: bool) -> Iterator[str]:
    if model.url is not None:
        yield model.url
        return
    click.echo(f"{model.label}: starting vLLM; log: {log}")
    with served(model.path, config, log, cpu) as url:
        yield url


async def _make(
    rollouts: Rollouts, questions: Any, todo: Sequence[tuple], file: RecordFile, concurrency: int, label: str
) -> None:
    slots = asyncio.Semaphore(concurrency)
    with tqdm(total=len(todo), desc=label, unit="rollout") as bar:

        async def one(arm: Arm, question: int, rollout: int) -> None:
            async with slots:
                file.add(await rollouts.run(arm, question, rollout, questions[question]))
            bar.update()

        tasks = [asyncio.create_task(one(*which)) for which in todo]
        try:
            await asyncio.gather(*tasks)
        finally:  # one that fails ends the evaluation; the others are not left behind
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
