"""Whatever a judge's servers do, a verdict is theirs or none: asked elsewhere, or unknown and why, never wrong."""

from __future__ import annotations

import email.utils
import random
import socket
import threading
from collections import Counter
from contextlib import ExitStack

import pytest
from judge_servers import ask, asked_about, completion, verdict
from local_service import Answer, serving

from verl_hdpo.outcomes.outcome import Outcome

pytestmark = pytest.mark.slow

LATER = {"Retry-After": email.utils.formatdate(2**31, usegmt=True)}
ERROR = {"error": {"message": "no", "type": "none", "code": None}}
FAULTS = {
    "slow": (Answer(completion('{"verdict": "wrong"}'), delay=4.0), "judge_timeout"),
    "busy": (Answer(ERROR, 429, {"Retry-After": "1"}), "judge_busy"),
    "busy until a date": (
        Answer(ERROR, 429, LATER),
        "judge_busy",
    ),
    "busy and rude": (Answer(ERROR, 429), "judge_busy"),
    "overloaded": (Answer(ERROR, 503, {"Retry-After": "1"}), "judge_busy"),
    "broken": (Answer(ERROR, 500), "judge_failed"),
    "broken in HTML": (Answer(b"<h1>502</h1>", 502, {"Content-Type": "text/html"}), "judge_failed"),
    "hangs up": (Answer(None), "judge_unreachable"),
    "hangs up in the middle": (Answer(completion('{"verdict": "wrong"}'), cut=True), "judge_unreachable"),
    "no key": (Answer(ERROR, 401), "judge_refused"),
    "no such model": (Answer(ERROR, 404), "judge_refused"),
    "refuses": (Answer(ERROR, 400), "judge_refused"),
    "too large": (Answer(ERROR, 413), "judge_refused"),
    "garbage": (Answer(b"\x00\xff wrong {"), "judge_unreadable"),
    "HTML": (Answer(b"<html>wrong</html>", 200, {"Content-Type": "text/html"}), "judge_unreadable"),
    "nothing": (Answer(b""), "judge_unreadable"),
    "another schema": (Answer({"verdict": "wrong"}), "judge_unreadable"),
    "no choice": (Answer({**completion(""), "choices": []}), "judge_unreadable"),
    "a list": (Answer(["wrong"]), "judge_unreadable"),
    "no content": (Answer(completion(None)), "judge_unreadable"),
    "content in parts": (Answer(completion([{"type": "text", "text": "wrong"}])), "judge_unreadable"),
    "no verdict": (Answer(completion('{"verdict": "perhaps"}')), "judge_unreadable"),
    "cut off": (Answer(completion("<think>wrong? wrong", finish="length")), "judge_unreadable"),
    "odd usage": (Answer({**completion("perhaps"), "usage": [1]}), "judge_unreadable"),
}
SHORT = {"timeout": 2.0, "deadline": 2.0}


def question(number=0):
    return (f"answer {number}", ["reference"], "question")


@pytest.fixture
def dead():
    """The URL of nobody."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lone_server_at_fault_makes_the_outcome_unknown_with_its_cause(fault):
    answer, cause = FAULTS[fault]
    with serving(answer) as (_, url):
        (outcome,) = ask([url], question(), **SHORT)
    assert outcome == Outcome.unknown(cause)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("word", ["correct", "wrong"])
def test_another_server_is_asked_in_its_place(fault, word):
    with serving(FAULTS[fault][0]) as (_, faulty), serving(verdict(word)) as (_, sound):
        outcomes = ask([faulty, sound], *map(question, range(4)), timeout=2.0, deadline=60.0)
    assert set(outcomes) == {Outcome.graded(float(word == "correct"), "judge")}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "date" not in fault])
@pytest.mark.slow
def test_a_server_that_comes_back_is_asked_again(fault):
    answer, _ = FAULTS[fault]
    with serving(answer, answer, verdict("correct")) as (_, url):
        (outcome,) = ask([url], question(), timeout=2.0, deadline=60.0)
    assert outcome == Outcome.right("judge") and outcome.judge.requests > 1


def test_nobody_there_is_unknown(dead):
    (outcome,) = ask([dead], question(), **SHORT)
    assert outcome == Outcome.unknown("judge_unreachable")


@pytest.mark.slow
def test_a_third_of_faults_and_a_dead_server_change_no_verdict(dead):
    """Each answer's verdict is known beforehand; a request in three meets a fault of any kind."""
    draw, lock = random.Random(1), threading.Lock()

    def troubled(asked):
        with lock:
            fault = draw.choice([FAULTS[name][0] for name in FAULTS if name not in ("no key", "busy until a date")])
            at_fault = draw.random() < 1 / 3
        if at_fault:
            return fault
        number = int(asked_about(asked.body)[3].split()[1])
        return verdict("correct" if number % 2 else "wrong")

    with ExitStack() as servers:
        urls = [servers.enter_context(serving(troubled))[1] for _ in range(2)]
        outcomes = ask([*urls, dead], *map(question, range(300)), timeout=2.0, deadline=120.0)
    known = [number for number, outcome in enumerate(outcomes) if outcome.known]
    assert all(outcomes[number] == Outcome.graded(float(number % 2), "judge") for number in known)
    assert len(known) >= 290
    assert sum(outcome.judge.requests for outcome in outcomes) > 330


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks():
    busy = Answer(ERROR, 429, {"Retry-After": "2"})
    with serving(busy, verdict("correct")) as (service, url):
        (outcome,) = ask([url], question(), deadline=60.0)
    assert outcome == Outcome.right("judge")
    first, second = service.asked
    assert second.time - first.time > 1.9


def test_busy_servers_cost_no_attempts():
    """Were they counted, many rollouts at once at a slow server would be unknown although it works."""
    busy = Answer(ERROR, 429, {"Retry-After": "0"})
    with serving(*[busy] * 20, verdict("correct")) as (_, url):
        (outcome,) = ask([url], question(), deadline=120.0)
    assert outcome == Outcome.right("judge") and outcome.judge.requests == 21


@pytest.mark.slow
def test_when_the_judge_is_down_the_rest_of_the_batch_does_not_wait_in_turn(dead):
    """200 answers, four at a time: one deadline, not fifty."""
    outcomes = ask([dead], *map(question, range(200)), concurrency=4, timeout=1.0, deadline=5.0)
    assert {outcome.known for outcome in outcomes} == {False}
    sources = Counter(outcome.source for outcome in outcomes)
    assert sources.keys() == {"judge_unreachable", "judge_down"}
    assert sources["judge_down"] > 100, "given up at once"


@pytest.mark.slow
def test_the_judge_is_asked_again_when_it_is_back():
    up = threading.Event()
    with serving(lambda _: verdict("correct") if up.is_set() else Answer(None)) as (_, url):
        threading.Timer(3.0, up.set).start()
        outcomes = ask([url], *map(question, range(20)), concurrency=4, timeout=1.0, deadline=60.0)
    assert set(outcomes) == {Outcome.right("judge")}
