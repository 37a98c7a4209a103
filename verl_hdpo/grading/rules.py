"""``RuleChecker``: whether an extracted answer is right, by rules.

UNKNOWN is for a check that failed to run. What the model can bring about by itself, such as no answer, an
endless one or one that explodes when evaluated, is WRONG: otherwise it could buy itself out of the loss.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from verl_hdpo.grading import math_process
from verl_hdpo.grading import notation as answer_text
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.references import references
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.reward import Check

logger = logging.getLogger(__name__)

WRONG = Outcome.wrong("undecided")


class AnswerChecker(Protocol):
    """Judges an extracted answer. It bounds its own time; an exception counts as UNKNOWN."""

    async def __call__(
        self, answer: str, ground_truth: Any, question: Question, extra_info: Mapping[str, Any]
    ) -> Outcome: ...


def normalize(text: str) -> str:
    """``text`` as ``exact`` compares it: tidy, case folded, single spaces, no outer quotes, $, full stop."""
    text = " ".join(answer_text.tidy(text).casefold().split())
    return text.strip("\"'`$ ").removesuffix(".").rstrip()


class RuleChecker:
    """Compares with one ground truth, or with any of several.

    ``exact``: equal after ``normalize``. ``math``: equal as numbers, or by math-verify. ``auto``: exact, else
    math where the ground truth looks like mathematics. What math-verify would let pass although it is no one
    answer is refused: several expressions, of which it takes the last, and, where the ground truth is a plain
    number, anything unevaluated, or ``12*34`` and even ``12 34`` would answer "what is 12*34?". An answer on
    which it fails is wrong, unless it fails on the ground truth with an ordinary number as well.

    Args:
        check: one of the three.
        timeout: seconds of processor time that math-verify may work on one comparison.
        undecided: the outcome where the rules find neither that the answer is right nor that it is wrong, as with
            other words than the reference's. Wrong, unless somebody else is to be asked then.
    """

    def __init__(self, check: Check = "auto", timeout: float = 5.0, undecided: Outcome = WRONG) -> None:
        self.check = check
        self.timeout = timeout
        self.undecided = undecided

    async def __call__(
        self, answer: str, ground_truth: Any, question: Question, extra_info: Mapping[str, Any]
    ) -> Outcome:
        """
        Raises:
            UnusableReference: nothing can be compared with the ground truth.
        """
        found = [await self._compare(answer, reference) for reference in references(ground_truth)]
        return max(found, key=lambda one: (one.acc, not one.known))

    async def _compare(self, answer: str, gold: str) -> Outcome:
        wrong = Outcome.wrong("rules")
        if self.check != "math" and normalize(answer) == normalize(gold) != "":
            return Outcome.right("exact")
        if self.check == "exact":
            return Outcome.wrong("exact")
        answer, gold = answer_text.tidy(answer), answer_text.tidy(gold)
        if not answer_text.is_mathematics(gold):
            if self.check == "auto":
                return self.undecided
            logger.warning("ground truth %.80r is no mathematics: use reward.reward_kwargs.check=auto", gold)
            return Outcome.unknown("no_mathematics")
        if len(answer) > answer_text.MAX_CHARS or answer_text.depth(answer) > answer_text.MAX_DEPTH:
            return wrong
        gold_number = answer_text.plain_number(gold)
        if gold_number is not None:
            answer = answer_text.without_unit(answer)
            number = answer_text.plain_number(answer)
            if number is not None:
                return Outcome.graded(float(number == gold_number), "number")
            if answer_text.is_unevaluated(answer, whole=gold_number.denominator == 1):
                return wrong
        if answer_text.is_explosive(answer) and not answer_text.is_explosive(gold):
            return wrong
        if "=" not in gold and answer_text.is_several(answer):
            return wrong
        try:
            same = await self._equal(gold, answer)
        except math_process.MathProcessError as error:
            if not isinstance(error, math_process.MathProcessStalled) and await self._can_check(gold):
                return wrong  # it was the answer's doing
            logger.warning("no verdict on answer %.80r for ground truth %.80r: %s", answer, gold, error)
            return Outcome.unknown("math_verify")
        if same is None:
            return self.undecided if self.check == "auto" else Outcome.unknown("no_mathematics")
        return Outcome.graded(float(same), "math_verify")

    async def _can_check(self, gold: str) -> bool:
        """Whether math-verify gets through with an answer that is no trouble."""
        try:
            return await self._equal(gold, "2") is not None
        except math_process.MathProcessError:
            return False

    async def _equal(self, gold: str, answer: str) -> bool | None:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(math_process.executor(), math_process.equal, gold, answer, self.timeout)
