"""What the records of a benchmark say of a model's calls, and how far that hangs on the way of asking.

Over-calling and recall are one finding: who never calls has the best of one and the worst of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from verl_hdpo.evaluation.benchmarks.decisions import UNDECIDED
from verl_hdpo.evaluation.estimate import Estimate
from verl_hdpo.evaluation.record import Record, by_question
from verl_hdpo.evaluation.tool_use import ALL, LABELLED, share_of

CLASSES = {"ask": "asked, should ask", "refuse": "refused, should refuse", "answer": "answered, should answer"}

TITLES = {
    "over_calling": "over-calling: called, should not",
    "call_recall": "recall: called, should",
    **{f"{name}_recall": title for name, title in CLASSES.items()},
    "unoffered_call": "called a tool that was not offered",
    "undecided": "neither yes nor no",
    "cut_off": "cut off at the length limit",
}
"""Figure -> what tables call it, in their order."""


@dataclass(frozen=True)
class Spread:
    """A figure over templates and seeds.

    Attributes:
        lowest, highest: None where it was not measured.
        cells: ways of asking.
    """

    lowest: float | None
    highest: float | None
    cells: int


def figures(records: Sequence[Record], classes: bool) -> dict[str, Estimate]:
    """Over-calling and recall, measured or not, and the other figures of ``TITLES`` that the records allow.

    Args:
        classes: the labels tell asking, refusing and answering apart.
    """
    questions = by_question(records, "free")
    found = {name: share_of(questions, where, hit) for name, (hit, where) in LABELLED.items()}
    others = {
        f"{name}_recall": share_of(questions, lambda r: r.reference == name, lambda r: r.decision == name)  # noqa: B023
        for name in CLASSES
        if classes
    }
    others["unoffered_call"] = share_of(questions, lambda r: True, lambda r: r.unoffered)
    others["cut_off"] = share_of(questions, lambda r: True, lambda r: r.cut_off)
    if any(record.decision == UNDECIDED for record in records):
        others["undecided"] = share_of(questions, lambda r: True, lambda r: r.decision == UNDECIDED)
    return found | {name: others[name] for name in TITLES if name in others and others[name].questions}


def per_part(records: Sequence[Record], classes: bool) -> dict[str, dict[str, Estimate]]:
    """:func:`figures` of each part of a benchmark, and of all of them if there are several."""
    parts = list(dict.fromkeys(record.source for record in sorted(records, key=lambda r: r.key)))
    found = {part: figures([r for r in records if r.source == part], classes) for part in parts}
    return {ALL: figures(records, classes), **found} if len(parts) > 1 else found


def spread(cells: Sequence[Mapping[str, Mapping[str, Estimate]]]) -> dict[str, dict[str, Spread]]:
    """Lowest and highest over-calling and recall of each part, over ``cells``, each as :func:`per_part`."""
    found: dict[str, dict[str, Spread]] = {}
    for part in cells[0]:
        found[part] = {}
        for name in LABELLED:
            values = [cell[part][name].value for cell in cells if part in cell and cell[part][name].questions]
            found[part][name] = Spread(min(values, default=None), max(values, default=None), len(cells))
    return found


def confusion(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Right decision -> decision -> answers."""
    found: dict[str, dict[str, int]] = {}
    for record in records:
        row = found.setdefault(record.reference, {})
        row[record.decision] = row.get(record.decision, 0) + 1
    return found
