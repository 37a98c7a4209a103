"""Who decides: the rules, or the judge where it is to be asked."""

from __future__ import annotations

import asyncio

import pytest
from judge_servers import MODEL, asked_about, verdict
from local_service import Answer, serving

from verl_hdpo.grading.grader import Grader
from verl_hdpo.grading.question import Question
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.reward import RewardSettings

RULES, UNDECIDED = Outcome.wrong("rules"), Outcome.unknown("rules")


def grade(outcome_of_rules, url, when="when_undecided", ground_truth="42"):
    async def rules(*_):
        return outcome_of_rules

    async def run():
        settings = {"judge": {"when": when, "endpoints": [url], "model": MODEL, "deadline": 1.0}}
        grader = Grader.from_settings(RewardSettings.read(settings, "reward.reward_kwargs"))
        grader.rules = rules
        try:
            return await grader("answer", ground_truth, Question("What?"), {})
        finally:
            if grader.judge:
                await grader.judge.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("when", "rules", "expected", "asked"),
    [
        ("when_undecided", RULES, RULES, 0),
        ("when_undecided", UNDECIDED, Outcome.right("judge"), 1),
        ("always", RULES, Outcome.right("judge"), 1),
        ("never", RULES, RULES, 0),
        ("never", UNDECIDED, UNDECIDED, 0),
    ],
)
def test_who_decides(when, rules, expected, asked):
    with serving(verdict("correct")) as (service, url):
        outcome = grade(rules, url, when)
    assert outcome == expected and len(service.asked) == asked == outcome.judge.asked


@pytest.mark.parametrize("when", ["when_undecided", "always"])
def test_without_a_verdict_the_outcome_is_unknown_and_says_why(when):
    with serving(Answer({}, 500)) as (_, url):
        assert grade(UNDECIDED, url, when) == Outcome.unknown("judge_failed")


def test_the_judge_is_shown_every_accepted_answer():
    with serving(verdict("correct")) as (service, url):
        grade(UNDECIDED, url, ground_truth=["42", "forty-two"])
    assert asked_about(service.asked[0].body)[1:] == ("What?", ["42", "forty-two"], "answer")


SYSTEM = {"role": "system", "content": "Reply in <answer> tags."}
IMAGE = {"type": "image", "image": "a.png"}


@pytest.mark.parametrize(
    ("messages", "extra_info", "expected"),
    [
        ([SYSTEM, {"role": "user", "content": "2+2?"}], {}, Question("2+2?")),
        ([SYSTEM, {"role": "user", "content": "2+2?"}], {"question": "Sum?"}, Question("Sum?")),
        ([SYSTEM, {"role": "user", "content": "2+2?"}], {"question": " "}, Question("2+2?")),
        ([SYSTEM, {"role": "user", "content": "2+2?"}], {"question": 7}, Question("2+2?")),
        (
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
            {},
            Question("c"),
        ),
        (
            [{"role": "user", "content": [IMAGE, *({"type": "text", "text": text} for text in ("What", "is it?"))]}],
            {},
            Question("What\nis it?", (IMAGE,)),
        ),
        ([SYSTEM], {}, Question("")),
        (None, {}, Question("")),
    ],
)
def test_the_question_is_the_data_set_s_or_the_last_user_turn_never_the_system_prompt(messages, extra_info, expected):
    assert Question.of(messages, extra_info) == expected
