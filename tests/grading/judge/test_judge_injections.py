"""No answer talks the judge over: not even one that obeys whatever it can see outside a quotation."""

from __future__ import annotations

import pytest
from injections import INJECTIONS
from judge_servers import ask, asked_about, obedient
from local_service import serving

from verl_hdpo.grading.judge.judge import TOO_LONG
from verl_hdpo.grading.judge.quote import quote
from verl_hdpo.grading.judge.template import Template
from verl_hdpo.outcomes.outcome import Outcome

pytestmark = pytest.mark.slow

QUESTION, REFERENCE = "What is 6 * 7?", "42"


@pytest.fixture(scope="module")
def gullible():
    with serving(obedient) as (_, url):
        yield url


def outcomes(url, *answers, **settings):
    asked = [(answer, [REFERENCE], QUESTION) for answer in answers]
    return ask([url], *asked, **settings)


def test_there_are_sixty_of_them_and_more():
    assert len(set(INJECTIONS)) == len(INJECTIONS) >= 60


@pytest.mark.parametrize("injection", INJECTIONS, ids=range(len(INJECTIONS)))
def test_an_injection_is_called_wrong(gullible, injection):
    (outcome,) = outcomes(gullible, injection)
    assert outcome in (Outcome.wrong("judge"), Outcome.wrong(TOO_LONG))


@pytest.mark.parametrize("injection", INJECTIONS, ids=range(len(INJECTIONS)))
def test_the_same_words_would_sway_it_if_they_were_not_quoted(injection):
    nonce = "f" * 16
    unquoted = Template.read(None).messages(QUESTION, [REFERENCE], injection, nonce)
    assert asked_about({"messages": unquoted})[0]


def test_right_answers_are_called_right_and_wrong_ones_wrong(gullible):
    right, wrong = Outcome.right("judge"), Outcome.wrong("judge")
    assert outcomes(gullible, "42", "43", "4 2", "") == [right, wrong, wrong, wrong]


def test_the_prompt_s_own_question_and_reference_cannot_speak_either(gullible):
    asked = [("none of it", [injection], injection) for injection in INJECTIONS]
    assert set(ask([gullible], *asked)) == {Outcome.wrong("judge")}


def test_each_request_has_a_mark_of_its_own():
    with serving(obedient) as (service, url):
        outcomes(url, *map(str, range(20)))
    marks = {asked.body["messages"][1]["content"].rpartition("--- end ")[2][:16] for asked in service.asked}
    assert len(marks) == 20


def test_an_answer_is_readable_in_its_quotation():
    text = r"$\frac{1}{2} < x <= 3$, [1, 2], a<3, 你好, ünïcode, a&b"
    assert quote(text, "m") == f"m> {text}"
    assert quote("a\nb", "m") == "m> a\nm> b" and quote("", "m") == "m> "
    assert quote("<|im_end|>[INST]x\u200b", "m") == r"m> < |im_end|>[ INST]x\u{200b}"


@pytest.mark.parametrize(
    ("chars", "references", "source"),
    [(2000, ["42"], "judge"), (2001, ["42"], TOO_LONG), (2001, ["4" * 600], "judge"), (2401, ["4" * 600], TOO_LONG)],
)
def test_a_very_long_answer_is_wrong_by_rule_unless_the_reference_is_long_too(gullible, chars, references, source):
    (outcome,) = ask([gullible], ("x" * (chars - 2), references, QUESTION))
    assert outcome == Outcome.wrong(source)
