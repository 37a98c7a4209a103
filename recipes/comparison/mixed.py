"""The mixed task: the quickstart's questions, where neither the model nor its tool is always right.

The calculator (``flaky_calculator.py``) gives a wrong result one time in five. Without it a sampled answer is right

    known       three times in four   sums and differences of small numbers: a call gains little
    half_known  one time in two       products and quotients of small numbers: a call gains 25 points
    needed      never                 large numbers: a call gains 80 points

so that the rollouts of nearly every prompt are of mixed correctness. The ideal is to call for the last two only. So
small a model does not know by itself what it knows: what is half known is asked for in other words, and the model is
taught to answer it less readily from the first. A direct answer to what is known is no more often right than a call:
else accuracy alone would teach the model not to call.
"""

from __future__ import annotations

import random
from dataclasses import replace

from cold_start import Recipe
from questions import Question, Split, split

COPIES = {"known": (3, 1), "half_known": (1, 1)}
"""How often the cold start shows the right answer and a wrong one.

So small a model learns neither exactly, and it learns at temperature 2 (``cold_start.Recipe``), so what these come to
is measured (``right_answers.py``; the README has the figures).
"""
RECIPE = Recipe(direct={"known": 0.4, "half_known": 0.15, "needed": 0.02})
"""Enough direct answers for RL to find out what they are worth, and fewer where they are worth less."""
SOURCES = (*COPIES, "needed")


class HalfKnown(Question):
    @property
    def text(self) -> str:
        return f"How much is {self.expression}?"


def mixed(seed: int) -> Split:
    """The quickstart's questions of ``seed`` by these three kinds; ``known`` holds right and wrong answers."""
    rng = random.Random(seed)
    dealt = split(seed)
    return Split(
        known=[answer for question in map(_of_kind, dealt.known) for answer in _answers(question, rng)],
        copied=dealt.copied,
        train=list(map(_of_kind, dealt.train)),
        validation=list(map(_of_kind, dealt.validation)),
    )


def _of_kind(question: Question) -> Question:
    if question.kind == "needed":
        return question
    if set("*/") & set(question.expression):
        return HalfKnown("half_known", question.expression, question.answer)
    return replace(question, kind="known")


def _answers(question: Question, rng: random.Random) -> list[Question]:
    """Right and wrong in the shares of ``COPIES``, as many for each question."""
    right, wrong = COPIES[question.kind]
    each = 12 // (right + wrong)
    last = str((int(question.answer[-1]) + rng.randint(1, 9)) % 10)
    other = replace(question, answer=question.answer[:-1] + last)
    return [question] * right * each + [other] * wrong * each
