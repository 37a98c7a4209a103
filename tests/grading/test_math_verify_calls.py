"""How often math-verify is asked, and for how long: verdicts are kept, and answers without end leave time to others."""

from __future__ import annotations

import asyncio
import signal

import pytest

from verl_hdpo.grading import math_process
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.rules import LEAST_SHARE, RuleChecker
from verl_hdpo.grading.verdict_cache import VerdictCache
from verl_hdpo.grading.worker_process import WorkerError, WorkerOverLimit
from verl_hdpo.outcomes.outcome import Outcome

INTEGRAL = "\\int_0^x 2t dt"
"""A reference that only math-verify can read."""


def ask(checker, *pairs):
    async def every():
        return await asyncio.gather(*(checker(answer, gold, Question(""), {}) for gold, answer in pairs))

    return asyncio.run(every())


@pytest.fixture
def asked(monkeypatch):
    """Math-verify's part is played by ``answers``; each entry is a call with its seconds."""
    calls, answers = [], {}

    def equal(gold, answer, seconds):
        calls.append((gold, answer, seconds))
        found = answers.get(answer, False)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(math_process, "equal", equal)
    equal.calls, equal.answers = calls, answers
    return equal


def test_a_group_that_repeats_its_answers_asks_once_for_each(asked):
    asked.answers["x^2"] = True
    found = ask(RuleChecker(), *[(INTEGRAL, "x^2"), (INTEGRAL, "x^3")] * 16)
    assert found == [Outcome.right("math_verify"), Outcome.wrong("math_verify")] * 16
    assert len(asked.calls) == 2


def test_verdicts_on_disk_serve_other_workers_and_only_those_that_were_reached(asked, tmp_path):
    asked.answers.update({"x^2": True, "x^4": None, "x^5": WorkerOverLimit("")})
    pairs = [(INTEGRAL, f"x^{n}") for n in range(2, 6)]
    first = ask(RuleChecker(cache=VerdictCache(tmp_path)), *pairs)
    assert [outcome.acc for outcome in first] == [1, 0, 0, 0]
    asked.calls.clear()
    assert ask(RuleChecker(cache=VerdictCache(tmp_path)), *pairs) == first
    assert {answer for _, answer, _ in asked.calls} == {"x^5", "2"}  # 2: whether the reference itself can be checked


def test_answers_over_the_limit_shorten_it_until_enough_others_came_through(asked):
    bombs = [(INTEGRAL, f"x^{n}") for n in range(30)]
    asked.answers.update({answer: WorkerOverLimit("") for _, answer in bombs})
    checker = RuleChecker(timeout=10.0)
    assert {outcome.source for outcome in ask(checker, *bombs)} == {"math_verify_limit"}
    limits = [seconds for _, answer, seconds in asked.calls if answer != "2"]
    assert limits[0] == 10.0 and min(limits) == pytest.approx(10.0 * LEAST_SHARE) and sum(limits) < 60
    ask(checker, *((INTEGRAL, f"{n}x") for n in range(300)))
    assert asked.calls[-1][2] == 10.0


def test_a_reference_that_cannot_be_checked_is_tried_once_and_its_answers_are_unknown(asked):
    asked.answers.update({"x^2": WorkerError(""), "x^3": WorkerError(""), "2": WorkerError("")})
    checker = RuleChecker()
    for answer in ("x^2", "x^3"):
        assert ask(checker, (INTEGRAL, answer)) == [Outcome.unknown("math_verify")]
    assert [answer for _, answer, _ in asked.calls] == ["x^2", "2"]


def test_what_ends_a_fork_is_told():
    assert math_process._forked(5.0, lambda: (True, "")) == (True, "")
    assert math_process._forked(0.05, lambda: _spin()) == (None, signal.SIGPROF)
    assert math_process._forked(5.0, lambda: signal.raise_signal(signal.SIGKILL)) == (None, signal.SIGKILL)


def _spin():
    while True:
        pass
