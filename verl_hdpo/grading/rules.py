"""``RuleChecker``: whether an extracted answer is right, by rules, and by math-verify where they do not reach."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict, deque
from collections.abc import Mapping
from concurrent.futures import Future
from importlib import metadata
from threading import Lock
from typing import Any, Protocol

from verl_hdpo.grading import math_process
from verl_hdpo.grading.doubt import takes_back
from verl_hdpo.grading.kinds import Next, decide
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.references import references
from verl_hdpo.grading.spelling import MONEY
from verl_hdpo.grading.verdict_cache import VerdictCache, verdict_key
from verl_hdpo.grading.worker_process import WorkerError, WorkerOverLimit, WorkerStalled
from verl_hdpo.grading.wrappers import one_formula, peel
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.policy import DEFAULT_POLICY, Policy
from verl_hdpo.settings.reward import Check

logger = logging.getLogger(__name__)

WRONG = Outcome.wrong("undecided")
_KEPT: dict[str | None, Outcome | Next] = {
    "correct": Outcome.right("math_verify"),
    "wrong": Outcome.wrong("math_verify"),
    "undecided": Next.NOBODY,
}
CACHED = 20_000
RECENT, LEAST_SHARE = 256, 0.06
"""Of so many comparisons those over the limit count; at least this share of the limit is left."""


class AnswerChecker(Protocol):
    """Judges an extracted answer. It bounds its own time; an exception counts as unknown."""

    async def __call__(
        self, answer: str, ground_truth: Any, question: Question, extra_info: Mapping[str, Any]
    ) -> Outcome: ...


class RuleChecker:
    """Compares with one ground truth, or with any of several.

    Unknown is for a check that failed to run. What the model can bring about by itself, such as an answer that
    explodes when worked out, is wrong where the reference is fine: or it could buy itself out of the loss.

    Args:
        check: ``exact`` compares text; ``auto`` by the kind of the reference; ``math`` as mathematics, whatever it is.
        timeout: seconds of processor time that math-verify may work on one comparison.
        undecided: the outcome where the rules find neither that the answer is right nor that it is wrong, as with
            other words than the reference's. Wrong, unless somebody else is to be asked then.
        cache: of math-verify's verdicts, for all workers of a node; the rules take less time than a look into it.
    """

    def __init__(
        self,
        check: Check = "auto",
        timeout: float = 5.0,
        undecided: Outcome = WRONG,
        policy: Policy = DEFAULT_POLICY,
        cache: VerdictCache | None = None,
    ) -> None:
        self.cache = cache
        self.check, self.timeout, self.undecided, self.policy = check, timeout, undecided, policy
        self.asked_math_verify = 0
        self._verdicts: OrderedDict[tuple[str, str], Future[Outcome | Next]] = OrderedDict()
        self._over_limit: deque[bool] = deque(maxlen=RECENT)
        self._checkable: dict[str, bool] = {}
        self._lock = Lock()

    async def __call__(
        self, answer: str, ground_truth: Any, question: Question, extra_info: Mapping[str, Any]
    ) -> Outcome:
        """
        Raises:
            UnusableReference: nothing can be compared with the ground truth.
        """
        found: list[Outcome] = []
        for reference in references(ground_truth):
            found.append(await self._compare(reference, answer))
            if found[-1].acc:
                break
        return max(found, key=lambda one: (one.acc, not one.known))

    async def _compare(self, reference: str, answer: str) -> Outcome:
        verdict = decide(reference, answer, self.check, self.policy)
        if verdict is Next.MATH_VERIFY:
            verdict = await self._by_math_verify(one_formula(peel(reference)), one_formula(peel(answer)))
        if isinstance(verdict, Next):
            return self.undecided
        if verdict.source == "no_mathematics":
            logger.warning("ground truth %.80r is no mathematics: use reward.reward_kwargs.check=auto", reference)
        return verdict

    async def _by_math_verify(self, reference: str, answer: str) -> Outcome | Next:
        if not math_process.can_take(reference):
            return Next.NOBODY
        if takes_back(re.sub(r"\\[a-zA-Z]+", " ", answer)):
            return Next.NOBODY
        if not math_process.can_take(answer) or ("=" not in reference and "=" in answer):
            return Outcome.wrong("math_verify")
        key = (reference.replace(MONEY, ""), answer.replace(MONEY, ""))
        with self._lock:
            asked = self._verdicts.get(key)
            if asked is None:
                self.asked_math_verify += 1
                asked = self._verdicts[key] = math_process.pool().executor.submit(self._ask, *key)
                if len(self._verdicts) > CACHED:
                    self._verdicts.popitem(last=False)
            self._verdicts.move_to_end(key)
        verdict = await asyncio.wrap_future(asked)
        if isinstance(verdict, Outcome) and not verdict.known:
            with self._lock:
                self._verdicts.pop(key, None)
        return verdict

    def _ask(self, reference: str, answer: str) -> Outcome | Next:
        key = verdict_key(["math-verify", metadata.version("math-verify"), reference, answer])
        if self.cache is None:
            return self._worked_out(reference, answer)
        if (kept := self.cache.get(key)) in _KEPT:
            return _KEPT[kept]
        verdict = self._worked_out(reference, answer)
        if name := next((name for name, outcome in _KEPT.items() if outcome == verdict), None):
            self.cache.put(key, name)
        return verdict

    def _worked_out(self, reference: str, answer: str) -> Outcome | Next:
        if self._checkable.get(reference) is False:
            return Outcome.unknown("math_verify")
        try:
            same = math_process.equal(reference, answer, self._limit())
        except WorkerError as error:
            self._over_limit.append(isinstance(error, WorkerOverLimit))
            if not isinstance(error, WorkerStalled) and self._can_check(reference):
                return Outcome.wrong("math_verify_limit")  # it was the answer's doing
            logger.warning("no verdict on answer %.80r for ground truth %.80r: %s", answer, reference, error)
            return Outcome.unknown("math_verify")
        self._over_limit.append(False)
        return Next.NOBODY if same is None else Outcome.graded(float(same), "math_verify")

    def _limit(self) -> float:
        """Less after answers that took all of it, so that a batch of them does not hold up the others."""
        return self.timeout * max(1 / (1 + sum(self._over_limit)), LEAST_SHARE)

    def _can_check(self, reference: str) -> bool:
        """Whether math-verify gets through with an answer that is no trouble."""
        if reference not in self._checkable:
            try:
                self._checkable[reference] = math_process.equal(reference, "2", self.timeout) is not None
            except WorkerStalled:
                return False
            except WorkerError:
                self._checkable[reference] = False
        return self._checkable[reference]
