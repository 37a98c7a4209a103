"""``evaluate``: each model on each benchmark, by each template and seed.

What was answered before is not asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click
from omegaconf import DictConfig

from verl_hdpo.evaluation.benchmarks.ask import Asker, ByChat, ByTokens, Cell
from verl_hdpo.evaluation.benchmarks.catalogue import BENCHMARKS, Benchmark
from verl_hdpo.evaluation.benchmarks.decisions import UNDECIDED, Reply, decision_of, yes_or_no
from verl_hdpo.evaluation.benchmarks.question import BenchmarkError, Question, first_of_each
from verl_hdpo.evaluation.benchmarks.report import Answers, write_report
from verl_hdpo.evaluation.benchmarks.templates import Template
from verl_hdpo.evaluation.chat_endpoint import ChatEndpoint
from verl_hdpo.evaluation.connection import connected
from verl_hdpo.evaluation.model import Model
from verl_hdpo.evaluation.record import Record, RecordFile
from verl_hdpo.evaluation.request import Request
from verl_hdpo.evaluation.run import make_records, model_config
from verl_hdpo.runs.terminal import doing, progress, say


@dataclass(frozen=True)
class Plan:
    """A benchmark and the ways in which it is asked.

    Attributes:
        questions: of each cell, whose seed may draw some of what is in them.
    """

    benchmark: Benchmark
    files: Mapping[str, Path]
    questions: Mapping[Cell, Sequence[Question]] = field(repr=False)


@dataclass
class Sheet:
    """What one model has answered, and has still to answer, of a plan by one cell."""

    cell: Cell
    file: RecordFile
    questions: Sequence[Question]
    todo: list[tuple[Question, int]]


def evaluate(request: Request) -> None:
    """Do it, or go on with it.

    Raises:
        click.UsageError: options that do not fit together.
        BenchmarkError: data that cannot be found or read.
    """
    models = request.each_model()
    with doing("reading the benchmarks"):
        plans = [_plan(text, request) for text in request.benchmarks]
    drawn = all(plan.benchmark.draws for plan in plans)
    configs = {model: model_config(model, request, drawn) for model in models}  # all, before the first is started
    request.out.mkdir(parents=True, exist_ok=True)
    answers: dict[str, list[Answers]] = {plan.benchmark.name: [] for plan in plans}
    for model, config in configs.items():
        for plan, found in zip(plans, asyncio.run(_answers(model, request, config, plans)), strict=True):
            answers[plan.benchmark.name].append(found)
    write_report({plan.benchmark: (plan.files, answers[plan.benchmark.name]) for plan in plans}, request)


def _plan(text: str, request: Request) -> Plan:
    name, _, path = text.partition("=")
    if name not in BENCHMARKS:
        raise click.UsageError(f"--benchmark: {name} is unknown; known: {', '.join(BENCHMARKS)}")
    benchmark = BENCHMARKS[name]
    files = benchmark.find(Path(path).expanduser() if path else None)
    templates = [Template.parse(one) for one in request.templates]
    if len({template.name for template in templates}) < len(templates):
        raise click.UsageError("--templates: two have the same name")
    cells = [Cell(template, seed) for template in templates for seed in request.seeds]
    read = {seed: first_of_each(benchmark.questions(files, seed), request.samples) for seed in request.seeds}
    return Plan(benchmark, files, {cell: read[cell.seed] for cell in cells})


async def _answers(model: Model, request: Request, config: DictConfig, plans: Sequence[Plan]) -> list[Answers]:
    asker = None if model.is_chat else ByTokens(config)
    if asker:
        for plan in plans:
            for cell, questions in plan.questions.items():
                asker.check_tools(questions, cell.template)
    sheets = [[_sheet(model, request, plan, cell, asker) for cell in plan.questions] for plan in plans]
    refused: set[str] = set()
    if todo := sum(len(sheet.todo) for one in sheets for sheet in one):
        async with connected(model, config, request.out / f"{model.folder}-vllm.log", request.cpu) as endpoint:
            say(f"{model.label}: {todo} answers to ask for; {endpoint.model} at {endpoint.url}", err=True)
            if isinstance(endpoint, ChatEndpoint):
                by: Asker = ByChat(endpoint, config)
                refused = endpoint.refused
            else:
                assert asker is not None
                asker.endpoint, by = endpoint, asker
            with progress(model.label, todo, tenths=True) as advance:
                slots = asyncio.Semaphore(request.concurrency)
                for plan, found in zip(plans, sheets, strict=True):
                    for sheet in found:
                        asked = [partial(_ask, by, plan.benchmark, sheet.cell, *which) for which in sheet.todo]
                        await make_records(asked, sheet.file, slots, advance)
    return [_found(model, request, plan, found, refused) for plan, found in zip(plans, sheets, strict=True)]


def _sheet(model: Model, request: Request, plan: Plan, cell: Cell, asker: ByTokens | None) -> Sheet:
    made_of = {
        "benchmark": plan.benchmark.name,
        "benchmark_files": plan.benchmark.about(plan.files)["files"],
        "template": cell.template.text,
        "seed": cell.seed,
        **request.made_by(model),
    }
    questions = [one for one in plan.questions[cell] if asker is None or asker.fits(one, cell.template)]
    if not questions:
        raise BenchmarkError(
            f"--benchmark {plan.benchmark.name}: every prompt is longer than data.max_prompt_length; set it higher"
        )
    path = request.out / plan.benchmark.name / cell.name / model.folder / "records.jsonl"
    file = RecordFile(path, made_of)
    pairs = [(question, rollout) for question in questions for rollout in range(request.rollouts)]
    return Sheet(cell, file, questions, [(q, r) for q, r in pairs if ("free", q.number, r) not in file.records])


async def _ask(asker: Asker, benchmark: Benchmark, cell: Cell, question: Question, rollout: int) -> Record:
    return _record(benchmark, cell, question, rollout, await asker.ask(question, cell, rollout))


def _record(benchmark: Benchmark, cell: Cell, question: Question, rollout: int, reply: Reply) -> Record:
    if benchmark.in_words:
        decision = {True: "call", False: "answer", None: UNDECIDED}[yes_or_no(reply.words)]
    else:
        decision = decision_of(reply)
    wanted = question.wanted[0] if len(question.wanted) == 1 else "no call"
    return Record(
        arm="free",
        question=question.number,
        rollout=rollout,
        source=question.source,
        calls=len(reply.calls),
        correct=decision in question.wanted,
        response=reply.text,
        asked=question.asked,
        messages=cell.template.messages(question.messages),
        reference=wanted,
        verdict="label",
        answer=decision,
        should_call=question.should_call,
        decision=decision,
        unoffered=any(name and name not in question.names for name in reply.calls),
        cut_off=not reply.finished,
    )


def _found(model: Model, request: Request, plan: Plan, sheets: Sequence[Sheet], refused: set[str]) -> Answers:
    cells = {}
    for sheet in sheets:
        asked = {question.number for question in sheet.questions}
        cells[sheet.cell.name] = [
            record
            for record in sheet.file.records.values()
            if record.question in asked and record.rollout < request.rollouts
        ]
    left_out = len(plan.questions[sheets[0].cell]) - len(sheets[0].questions)
    return Answers(model, cells, left_out, sorted(refused))
