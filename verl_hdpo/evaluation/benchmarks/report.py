"""The figures of benchmarks as text and as JSON. Over-calling and recall stand together in each table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.benchmarks.catalogue import Benchmark
from verl_hdpo.evaluation.benchmarks.decisions import in_words
from verl_hdpo.evaluation.benchmarks.figures import TITLES, Spread, confusion, per_part, spread
from verl_hdpo.evaluation.estimate import Estimate, share
from verl_hdpo.evaluation.logged import log_report
from verl_hdpo.evaluation.model import Model
from verl_hdpo.evaluation.record import Record
from verl_hdpo.evaluation.report import INTERVALS, cell, print_differences, write_pairs
from verl_hdpo.evaluation.request import Request
from verl_hdpo.evaluation.side_by_side import side_by_side
from verl_hdpo.evaluation.tool_use import LABELLED
from verl_hdpo.runs.log_to import LoggedReport
from verl_hdpo.runs.terminal import json_text, say, show_json, show_table

OWN_TEMPLATE = "own template"
"""Marks a model whose server formats the prompt and reads the calls by means of its own."""


@dataclass(frozen=True)
class Answers:
    """What one model answered on a benchmark.

    Attributes:
        cells: the records of each way of asking; the first is the one that the figures are of.
        left_out: questions whose prompt is too long.
        refused: fields of the request that the server does not take.
    """

    model: Model
    cells: Mapping[str, Sequence[Record]] = field(repr=False)
    left_out: int
    refused: Sequence[str]

    @property
    def first(self) -> Sequence[Record]:
        return next(iter(self.cells.values()))

    @property
    def shown_label(self) -> str:
        return f"{self.model.label} ({OWN_TEMPLATE})" if self.model.is_chat else self.model.label


Found = Mapping[Benchmark, tuple[Mapping[str, Path], Sequence[Answers]]]


def write_report(found: Found, request: Request) -> None:
    """Write ``benchmarks.json``, and a CSV per benchmark and pair of models; print the figures."""
    show: list[Callable[[], None]] = []
    content: dict[str, Any] = {"templates": request.templates, "seeds": request.seeds, "rollouts": request.rollouts}
    content["benchmarks"] = {}
    for benchmark, (files, answers) in found.items():
        about = benchmark.about(files) | _agreement(benchmark, files)
        models = {one.model.label: _of_model(benchmark, one) for one in answers}
        show.append(partial(_head, benchmark, about, answers))
        show.append(partial(_tables, _columns(answers, models)))
        changes = {}
        for first, second in pairwise(answers):
            pair = f"{first.model.label} -> {second.model.label}"
            changes[pair] = side_by_side(first.first, second.first, request.seed, LABELLED)
            show.append(partial(print_differences, pair, changes[pair], TITLES))
            name = f"{benchmark.name}-{first.model.folder}-{second.model.folder}.csv"
            write_pairs(request.out / name, first.first, second.first)
        content["benchmarks"][benchmark.name] = {**about, "models": models, "differences": changes}
    path = request.out / "benchmarks.json"
    path.write_text(json_text(content))
    log_report(request.log_to, "eval", request.out.name, _logged(content["benchmarks"]))
    if request.as_json:
        show_json(content)
        return
    for part in show:
        part()
    say(f"\n{INTERVALS}")
    say(f"Figures: {path}; every answer: records.jsonl in the folders beside it")


def _logged(benchmarks: Mapping[str, Any]) -> LoggedReport:
    rows = [
        {"benchmark": name, "model": label, "part": part, "figure": figure, **vars(found)}
        for name, about in benchmarks.items()
        for label, model in about["models"].items()
        for part, figures in model["figures"].items()
        for figure, found in figures.items()
    ]
    numbers = {
        "/".join(str(row[key]) for key in ("benchmark", "model", "part", "figure")): row["value"] for row in rows
    }
    return LoggedReport(numbers, {"benchmarks": rows})


def _of_model(benchmark: Benchmark, answers: Answers) -> dict[str, Any]:
    cells = {name: per_part(records, benchmark.classes) for name, records in answers.cells.items()}
    found = {
        "own_template": answers.model.is_chat,
        "refused_fields": answers.refused,
        "left_out": answers.left_out,
        "figures": next(iter(cells.values())),
        "cells": cells,
        "sensitivity": spread(list(cells.values())),
    }
    return found | ({"confusion": confusion(answers.first)} if benchmark.classes else {})


def _columns(answers: Sequence[Answers], models: Mapping[str, Any]) -> dict[str, Mapping[str, Mapping[str, Any]]]:
    """The figures of each model, and its spread where it was asked in several ways."""
    found = {}
    for one in answers:
        model = models[one.model.label]
        found[one.shown_label] = model["figures"]
        if len(one.cells) > 1:
            found[f"{len(one.cells)} templates x seeds"] = model["sensitivity"]
    return found


def _tables(columns: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """A table per part, a column per model."""
    for part in dict.fromkeys(part for found in columns.values() for part in found):
        rows = [
            [title, *(_shown(found.get(part, {}).get(name)) for found in columns.values())]
            for name, title in TITLES.items()
        ]
        say("")
        show_table([part, *columns], [row for row in rows if any(row[1:])])


def _shown(found: Estimate | Spread | None) -> str:
    if isinstance(found, Spread):
        ends = [100 * value for value in (found.lowest, found.highest) if value is not None]
        return " to ".join(f"{value:.1f}" for value in ends) + " %" if ends else "not measured"
    return cell("", found)


def _head(benchmark: Benchmark, about: Mapping[str, Any], answers: Sequence[Answers]) -> None:
    say(f"\n{benchmark.name}: {benchmark.project}, {benchmark.licence}; {', '.join(about['files'])}")
    if "rules_right" in about:
        right = f"{about['rules_right'].value:.1%}"
        say(f"ask, refuse and answer are told apart by rules, right on {right} of the samples that come with it")
    for one in answers:
        asked = {record.question: record.should_call for record in one.first}
        should = sum(map(bool, asked.values()))
        left_out = f"; {one.left_out} LEFT OUT, longer than data.max_prompt_length" if one.left_out else ""
        say(f"  {one.shown_label}: {len(asked)} questions, a tool should be called in {should} of them{left_out}")
        if one.refused:
            say(f"  {one.shown_label}: the server does not take {', '.join(one.refused)}")


def _agreement(benchmark: Benchmark, files: Mapping[str, Path]) -> dict[str, Estimate]:
    """How often the rules read the benchmark's own sample answers as their labels say."""
    if benchmark.samples is None:
        return {}
    samples = benchmark.samples(files)
    return {"rules_right": share([float(in_words(text) == label) for text, label in samples], [1.0] * len(samples))}
