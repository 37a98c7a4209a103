"""The quickstart's questions, and which of them each stage may see."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DATA = Path(__file__).parent / "data"
VALIDATION = 256
"""Validation questions of each kind."""

Kind = Literal["not_needed", "needed"]
KINDS: tuple[Kind, ...] = ("not_needed", "needed")


@dataclass(frozen=True)
class Question:
    """``expression`` is asked for and has ``answer``; ``kind`` says whether the model needs its tool for it."""

    kind: Kind
    expression: str
    answer: str

    @property
    def text(self) -> str:
        return f"What is {self.expression}?"

    def row(self, index: int) -> dict[str, Any]:
        """The question in the columns that verl's RLHFDataset reads."""
        return {
            "data_source": self.kind,
            "prompt": [{"role": "user", "content": self.text}],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": self.answer},
            "extra_info": {"index": index},
        }


@dataclass(frozen=True)
class Split:
    """Questions by stage.

    Attributes:
        known: every ``not_needed`` question: the cold start teaches the model all of them by heart.
        copied: ``needed`` questions, from which the model learns to write calls.
        train: both kinds, for RL; seven in ten are ``not_needed``, where the signal is.
        validation: both kinds; none is in ``train`` or ``copied``.
    """

    known: list[Question]
    copied: list[Question]
    train: list[Question]
    validation: list[Question]


def load(kind: Kind) -> list[Question]:
    with open(DATA / f"{kind}.tsv") as lines:
        return [Question(kind, row["expression"], row["answer"]) for row in csv.DictReader(lines, delimiter="\t")]


def split(seed: int) -> Split:
    """Deal the questions out to the stages, shuffled by ``seed``."""
    rng = random.Random(seed)
    known, needed = load("not_needed"), load("needed")
    rng.shuffle(known)
    rng.shuffle(needed)
    return Split(
        known=known,
        copied=needed[VALIDATION:],
        train=known[VALIDATION:] * 3 + needed[VALIDATION:],
        validation=known[:VALIDATION] + needed[:VALIDATION],
    )
