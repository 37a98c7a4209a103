"""The figures of benchmarks as text and as JSON. Over-calling and recall stand together in each table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.benchmarks.catalogue import Benchmark
from verl_hdpo.evaluation.benchmarks.decisions import in_words
from verl_hdpo.evaluation.benchmarks.figures import TITLES, Spread, confusion, per_part, spread
from verl_hdpo.evaluation.estimate import Estimate, share
from verl_hdpo.evaluation.model import Model
from verl_hdpo.evaluation.record import Record
from verl_hdpo.evaluation.report import INTERVALS, as_json, cell
from verl_hdpo.evaluation.request import Request
from verl_hdpo.evaluation.side_by_side import Difference, joined, side_by_side
from verl_hdpo.evaluation.tool_use import LABELLED

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


def write_report(found: Found, request: Request) -> list[str]:
    """Write ``benchmarks.json``, and a CSV per benchmark and pair of models; returns the lines to show."""
    shown: list[str] = []
    content: dict[str, Any] = {"templates": request.templates, "seeds": request.seeds, "rollouts": request.rollouts}
    content["benchmarks"] = {}
    for benchmark, (files, answers) in found.items():
        about = benchmark.about(files) | _agreement(benchmark, files)
        models = {one.model.label: _of_model(benchmark, one) for one in answers}
        shown += _head(benchmark, about, answers)
        shown += _tables(_columns(answers, models))
        changes = {}
        for first, second in pairwise(answers):
            pair = f"{first.model.label} -> {second.model.label}"
            changes[pair] = side_by_side(first.first, second.first, request.seed, LABELLED)
            shown += _changed(first.model.label, second.model.label, changes[pair])
            _write_pairs(
                request.out / f"{benchmark.name}-{first.model.folder}-{second.model.folder}.csv", first, second
            )
        content["benchmarks"][benchmark.name] = {**about, "models": models, "differences": changes}
    path = request.out / "benchmarks.json"
    text = as_json(content)
    path.write_text(text)
    if request.as_json:
        return [text.rstrip()]
    return [*shown, "", INTERVALS, f"Figures: {path}; every answer: records.jsonl in the folders beside it"]


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


def _tables(columns: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """A table per part, a column per model."""
    width = max(map(len, TITLES.values()))
    widths = [max(26, len(head)) for head in columns]
    for part in dict.fromkeys(part for found in columns.values() for part in found):
        yield ""
        yield _line(part, columns, width, widths)
        for name, title in TITLES.items():
            row = [_shown(found.get(part, {}).get(name)) for found in columns.values()]
            if any(row):
                yield _line(title, row, width, widths)


def _line(first: str, cells: Iterable[str], width: int, widths: Sequence[int]) -> str:
    return f"{first:{width}}" + "".join(f"  {text:>{w}}" for text, w in zip(cells, widths, strict=True))


def _shown(found: Estimate | Spread | None) -> str:
    if isinstance(found, Spread):
        ends = [100 * value for value in (found.lowest, found.highest) if value is not None]
        return " to ".join(f"{value:.1f}" for value in ends) + " %" if ends else "not measured"
    return cell("", found)


def _changed(first: str, second: str, differences: Mapping[str, Mapping[str, Difference]]) -> Iterator[str]:
    yield ""
    yield f"{second} less {first}, question by question"
    for part, found in differences.items():
        for name, difference in found.items():
            if difference.questions:
                yield (
                    f"  {part}, {TITLES[name]}: {cell('', difference, signed=True)}; "
                    f"more on {difference.more}, less on {difference.fewer} of {difference.questions}"
                )


def _head(benchmark: Benchmark, about: Mapping[str, Any], answers: Sequence[Answers]) -> Iterator[str]:
    yield ""
    yield f"{benchmark.name}: {benchmark.project}, {benchmark.licence}; {', '.join(about['files'])}"
    if "rules_right" in about:
        right = f"{about['rules_right'].value:.1%}"
        yield f"ask, refuse and answer are told apart by rules, right on {right} of the samples that come with it"
    for one in answers:
        asked = {record.question: record.should_call for record in one.first}
        should = sum(map(bool, asked.values()))
        yield f"  {one.shown_label}: {len(asked)} questions, a tool should be called in {should} of them" + (
            f"; {one.left_out} LEFT OUT, longer than data.max_prompt_length" if one.left_out else ""
        )
        if one.refused:
            yield f"  {one.shown_label}: the server does not take {', '.join(one.refused)}"


def _agreement(benchmark: Benchmark, files: Mapping[str, Path]) -> dict[str, Estimate]:
    """How often the rules read the benchmark's own sample answers as their labels say."""
    if benchmark.samples is None:
        return {}
    samples = benchmark.samples(files)
    return {"rules_right": share([float(in_words(text) == label) for text, label in samples], [1.0] * len(samples))}


def _write_pairs(path: Path, first: Answers, second: Answers) -> None:
    rows = list(joined(first.first, second.first))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0] if rows else ["question"])
        writer.writeheader()
        writer.writerows(rows)
