"""Find the answer in what the model wrote, and decide whether it is right: CORRECT, WRONG or UNKNOWN.

UNKNOWN is for a check that failed to run. What the model can bring about by itself, such as no answer, an
endless one or one that explodes when evaluated, is WRONG: otherwise it could buy itself out of the loss.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from verl_hdpo.grading import math_process
from verl_hdpo.grading import notation as answer_text
from verl_hdpo.grading.question import Question
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.reward import ANSWER_PATTERN, Check

logger = logging.getLogger(__name__)


class Verdict(enum.Enum):
    """Of one comparison."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNKNOWN = "unknown"


class AnswerChecker(Protocol):
    """Judges an extracted answer. It bounds its own time; an exception counts as UNKNOWN."""

    async def __call__(
        self, answer: str, ground_truth: Any, question: Question, extra_info: Mapping[str, Any]
    ) -> Outcome: ...


def extract_answer(turns: Sequence[str], pattern: str = ANSWER_PATTERN) -> str | None:
    """The last match of ``pattern`` that lies within one of the model's ``turns``; None without any.

    A match cannot span two turns, so what a tool printed between them can neither supply nor complete it.
    """
    for turn in reversed(turns):
        if matches := re.findall(pattern, turn, re.DOTALL):
            return matches[-1].strip()
    return None


def follows_format(turns: Sequence[str], pattern: str = ANSWER_PATTERN) -> bool:
    """Whether the last turn ends with an answer and holds no other, whole or broken.

    Free text, or a ``<reason>`` block, may come before it; only white space may follow.
    """
    matches = list(re.finditer(pattern, turns[-1], re.DOTALL)) if turns else []
    if len(matches) != 1 or turns[-1][matches[0].end() :].strip():
        return False
    before = turns[-1][: matches[0].start()]
    return "<answer>" not in before and "</answer>" not in before


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
    """

    def __init__(self, check: Check = "auto", timeout: float = 30.0) -> None:
        self.check = check
        self.timeout = timeout

    async def __call__(
        self, answer: str, ground_truth: Any, question: Question, extra_info: Mapping[str, Any]
    ) -> Outcome:
        verdicts = set()
        for gold in ground_truths(ground_truth):
            verdicts.add(verdict := await self._compare(answer, gold))
            if verdict is Verdict.CORRECT:
                return Outcome.right("rules")
        return Outcome.wrong("rules") if verdicts == {Verdict.WRONG} else Outcome.unknown("rules")

    async def _compare(self, answer: str, gold: str) -> Verdict:
        if self.check != "math" and normalize(answer) == normalize(gold) != "":
            return Verdict.CORRECT
        if self.check == "exact":
            return Verdict.WRONG
        answer, gold = answer_text.tidy(answer), answer_text.tidy(gold)
        if not answer_text.is_mathematics(gold):
            if self.check == "auto":
                return Verdict.WRONG
            logger.warning("ground truth %.80r is no mathematics: use reward.reward_kwargs.check=auto", gold)
            return Verdict.UNKNOWN
        if len(answer) > answer_text.MAX_CHARS or answer_text.depth(answer) > answer_text.MAX_DEPTH:
            return Verdict.WRONG
        gold_number = answer_text.plain_number(gold)
        if gold_number is not None:
            answer = answer_text.without_unit(answer)
            number = answer_text.plain_number(answer)
            if number is not None:
                return Verdict.CORRECT if number == gold_number else Verdict.WRONG
            if answer_text.is_unevaluated(answer, whole=gold_number.denominator == 1):
                return Verdict.WRONG
        if answer_text.is_explosive(answer) and not answer_text.is_explosive(gold):
            return Verdict.WRONG
        if "=" not in gold and answer_text.is_several(answer):
            return Verdict.WRONG
        try:
            same = await self._equal(gold, answer)
        except math_process.MathProcessError as error:
            if not isinstance(error, math_process.MathProcessStalled) and await self._can_check(gold):
                return Verdict.WRONG  # it was the answer's doing
            logger.warning("no verdict on answer %.80r for ground truth %.80r: %s", answer, gold, error)
            return Verdict.UNKNOWN
        if same is None:
            return Verdict.WRONG if self.check == "auto" else Verdict.UNKNOWN
        return Verdict.CORRECT if same else Verdict.WRONG

    async def _can_check(self, gold: str) -> bool:
        """Whether math-verify gets through with an answer that is no trouble."""
        try:
            return await self._equal(gold, "2") is not None
        except math_process.MathProcessError:
            return False

    async def _equal(self, gold: str, answer: str) -> bool | None:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(math_process.executor(), math_process.equal, gold, answer, self.timeout)


def ground_truths(ground_truth: Any) -> list[str]:
    """The accepted answers as text; a list, tuple or array (as parquet gives it) holds several."""
    if hasattr(ground_truth, "tolist"):
        ground_truth = ground_truth.tolist()
    several = ground_truth if isinstance(ground_truth, list | tuple) else [ground_truth]
    # A missing one is None, or NaN as pandas has it.
    return [answer_text.as_text(one) for one in several if one is not None and one == one]
