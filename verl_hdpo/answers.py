"""Find the answer in what the model wrote, and decide whether it is right: CORRECT, WRONG or UNKNOWN.

UNKNOWN is for a check that failed to run. What the model can bring about by itself, such as no answer, an
endless one or one that explodes when evaluated, is WRONG: otherwise it could buy itself out of the loss.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

from verl_hdpo import math_process
from verl_hdpo.rewards import ANSWER_PATTERN, Check

logger = logging.getLogger(__name__)

MAX_ANSWER_CHARS = 256
MAX_ANSWER_DEPTH = 12
"""A longer answer than that, or one with more brackets in brackets, is compared as text only."""


class Verdict(enum.Enum):
    """Outcome of a check; UNKNOWN leaves the rollout out of the loss and of its group's statistics."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNKNOWN = "unknown"


class AnswerChecker(Protocol):
    """Judges an extracted answer. It bounds its own time; an exception counts as UNKNOWN."""

    async def __call__(
        self, answer: str, ground_truth: Any, question: str, extra_info: Mapping[str, Any]
    ) -> Verdict: ...


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
    """``text`` as ``exact`` compares it: NFKC, case folded, single spaces, no outer quotes, $, full stop."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return text.strip("\"'`$ ").removesuffix(".").rstrip()


class RuleChecker:
    """Compares with one ground truth, or with any of several.

    ``exact``: equal after ``normalize``. ``math``: equal as numbers, or by math-verify. ``auto``: exact, else
    math where the ground truth looks like mathematics. What math-verify would let pass although it is no one
    answer is refused: several expressions, of which it takes the last, and, where the ground truth is a plain
    number, anything unevaluated, or ``12*34`` and even ``12 34`` would answer "what is 12*34?".

    Args:
        check: one of the three.
        timeout: seconds math-verify may work on one comparison.
    """

    def __init__(self, check: Check = "auto", timeout: float = 30.0) -> None:
        self.check = check
        self.timeout = timeout

    async def __call__(self, answer: str, ground_truth: Any, question: str, extra_info: Mapping[str, Any]) -> Verdict:
        verdicts = set()
        for gold in ground_truths(ground_truth):
            verdicts.add(verdict := await self._compare(answer, gold))
            if verdict is Verdict.CORRECT:
                return verdict
        return Verdict.WRONG if verdicts == {Verdict.WRONG} else Verdict.UNKNOWN

    async def _compare(self, answer: str, gold: str) -> Verdict:
        if self.check != "math" and normalize(answer) == normalize(gold) != "":
            return Verdict.CORRECT
        if self.check == "exact":
            return Verdict.WRONG
        if not _is_mathematics(gold):
            if self.check == "auto":
                return Verdict.WRONG
            logger.warning("ground truth %.80r is no mathematics: use reward.reward_kwargs.check=auto", gold)
            return Verdict.UNKNOWN
        if len(answer) > MAX_ANSWER_CHARS or _depth(answer) > MAX_ANSWER_DEPTH:
            return Verdict.WRONG
        gold_number, number = plain_number(gold), plain_number(answer)
        if gold_number is not None:
            if number is not None:
                return Verdict.CORRECT if number == gold_number else Verdict.WRONG
            if _is_unevaluated(answer, whole=gold_number.denominator == 1):
                return Verdict.WRONG
        if _EXPLOSIVE.search(answer) and not _EXPLOSIVE.search(gold):
            return Verdict.WRONG
        if "=" not in gold and _is_several(answer):
            return Verdict.WRONG
        loop = asyncio.get_running_loop()
        try:
            same = await loop.run_in_executor(math_process.executor(), math_process.equal, gold, answer, self.timeout)
        except math_process.MathProcessError as error:
            logger.warning("no verdict on answer %.80r for ground truth %.80r: %s", answer, gold, error)
            return Verdict.UNKNOWN
        if same is None:
            return Verdict.WRONG if self.check == "auto" else Verdict.UNKNOWN
        return Verdict.CORRECT if same else Verdict.WRONG


def ground_truths(ground_truth: Any) -> list[str]:
    """The accepted answers as text; a list, tuple or array (as parquet gives it) holds several."""
    if hasattr(ground_truth, "tolist"):
        ground_truth = ground_truth.tolist()
    several = ground_truth if isinstance(ground_truth, list | tuple) else [ground_truth]
    return [str(one) for one in several if one is not None]


def plain_number(text: str) -> Fraction | None:
    """The value of an integer or decimal, commas between thousands allowed; None for anything else."""
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-").strip().strip("$").strip()
    if len(text) > MAX_ANSWER_CHARS or not _PLAIN_NUMBER.fullmatch(text):
        return None
    return Fraction(text.replace(",", "").removesuffix("."))


_PLAIN_NUMBER = re.compile(r"[+-]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)", re.ASCII)
# A power of a power, an exponent or a factorial of four digits: hours of arithmetic in a few characters.
_EXPLOSIVE = re.compile(
    r"(?:\^|\*\*)[\s({+-]*[\d.]*[\s)}]*(?:\^|\*\*)|(?:\^|\*\*)[\s({+-]*\d{4}|\d{4}[\s)}]*!|!\s*[)}]*\s*!"
    r"|(?:\^|\*\*)\s*[({][^)}]*\d\s*(?:\*|\\times|\\cdot)\s*\d"
)
_SCIENTIFIC = re.compile(r"(?:\*|×|x|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{?\s*[+-]?\d{1,2}\s*\}?")
_OPERATOR = re.compile(r"[*×·^!+]|\\(?:times|cdot|binom)|[\w)}]\s*-")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d*)?|\.\d+")
_NAME = re.compile(r"[\s$]*\\?[a-zA-Z]+(?:_\{?\w+\}?)?'?(?:\([a-zA-Z, ]*\))?\s*")
_FRACTION = re.compile(r"/|\\[dt]?frac|\\div|÷")
_COMMAND = re.compile(r"\\[a-zA-Z]+|\b(?:sqrt|sin|cos|tan|cot|sec|csc|log|exp|pi|inf|infty)\b")


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _is_unevaluated(answer: str, whole: bool) -> bool:
    """An operator, or more numbers than the one number sought has: two in a fraction, if it is not ``whole``."""
    answer = _SCIENTIFIC.sub("", answer.replace("\u2212", "-"))
    most = 2 if _FRACTION.search(answer) and not whole else 1
    return bool(_OPERATOR.search(answer)) or len(_NUMBER.findall(answer)) > most


def _is_several(answer: str) -> bool:
    """Several formulas, or an equation that is more than a name for the answer, such as ``y = x + 1``."""
    if answer.count("$") > 2 or answer.count("\\boxed") > 1:
        return True
    name, equals, value = answer.partition("=")
    return bool(equals) and ("=" in value or not _NAME.fullmatch(name))


def _is_mathematics(gold: str) -> bool:
    """A digit, a command, an operator or one letter, and no word: math-verify reads ``blue`` as b*l*u*e."""
    rest = _COMMAND.sub(" ", re.sub(r"\\(?:text|mathrm|operatorname)\s*\{[^}]*\}", " ", gold))
    if re.search(r"[^\W\d_]{3}", rest):
        return False
    return bool(re.search(r"[\d\\+*/^=<>()\[\]-]", gold)) or len(gold.strip(" $")) == 1
