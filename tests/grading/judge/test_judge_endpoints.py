"""How a judge's servers are asked: what is sent, to whom, how many at a time; and that its key stays secret."""

from __future__ import annotations

import json
import logging
import threading
import time

import pytest
from judge_servers import MODEL, ask, completion, judge_at, verdict
from local_service import Answer, serving

from verl_hdpo.grading.judge.breaker import FIRST_SECONDS, MOST_SECONDS, THRESHOLD, Breaker
from verl_hdpo.grading.judge.endpoint import Endpoint
from verl_hdpo.grading.judge.judge import Judge
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.group import SettingsError
from verl_hdpo.settings.judge import JudgeSettings

pytestmark = pytest.mark.slow

KEY = "k3y-that-must-not-leak"
QUESTION = ("answer", ["reference"], "question")


def questions(number):
    return [(f"answer {i}", ["reference"], "question") for i in range(number)]


def test_a_request_is_what_openai_s_api_documents():
    with serving(verdict("correct")) as (service, url):
        (outcome,) = ask([url], QUESTION, request={"seed": 1, "max_tokens": None, "max_completion_tokens": 9})
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert [message["role"] for message in asked.body.pop("messages")] == ["system", "user"]
    schema = asked.body.pop("response_format")["json_schema"]
    assert schema["strict"] and schema["schema"]["properties"]["verdict"]["enum"] == ["correct", "wrong"]
    assert asked.body == {"model": MODEL, "temperature": 0, "seed": 1, "max_completion_tokens": 9}
    assert outcome.judge.prompt_tokens == 100 and outcome.judge.completion_tokens == 7 and outcome.judge.requests == 1


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_structured_output_is_asked_in_words(status):
    def plain(asked):
        return Answer({"error": "what is this?"}, status) if "response_format" in asked.body else answer

    answer = Answer(completion("**Correct.**"))
    with serving(plain) as (service, url):
        outcomes = ask([url], *questions(3), concurrency=1)
    assert set(outcomes) == {Outcome.right("judge")}
    assert ["response_format" in asked.body for asked in service.asked] == [True, False, False, False]


@pytest.mark.slow
def test_a_refusal_of_one_question_leaves_structured_output_and_the_server_s_health_as_they_were():
    def picky(asked):
        return Answer({"error": "too long"}, 400) if "answer 0" in json.dumps(asked.body) else verdict("wrong")

    with serving(picky) as (service, url):
        first, *others = ask([url], *questions(5), concurrency=1)
    assert first == Outcome.unknown("judge_refused")
    assert set(others) == {Outcome.wrong("judge")}
    assert all("response_format" in asked.body for asked in service.asked[-4:])


def test_no_more_requests_than_allowed_are_under_way():
    lock, under_way, most = threading.Lock(), [0], [0]

    def count(_):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        with lock:
            under_way[0] -= 1
        return verdict("correct")

    with serving(count) as (_, url):
        outcomes = ask([url], *questions(60), concurrency=6)
    assert 1 < most[0] <= 6 and len(outcomes) == 60
    assert max(outcome.judge.queue_seconds for outcome in outcomes) > 0
    settings = JudgeSettings.read({"endpoints": [url], "model": MODEL, "concurrency": 64}, "judge")
    assert Judge(settings, workers=8)._slots._value == 8 and Judge(settings, workers=100)._slots._value == 1


def test_the_server_with_the_fewest_requests_under_way_is_asked():
    slow = Answer(verdict("correct").body, delay=0.5)
    with serving(slow) as (loaded, slow_url), serving(verdict("correct")) as (idle, fast_url):
        ask([slow_url, fast_url], *questions(200), concurrency=8)
    assert len(loaded.asked) + len(idle.asked) == 200
    assert len(idle.asked) > 3 * len(loaded.asked)


def test_a_breaker_opens_after_faults_in_a_row_and_lets_one_request_try():
    breaker = Breaker()
    for _ in range(THRESHOLD - 1):
        breaker.failed(now=0.0)
    assert breaker.allows(now=0.0, in_flight=9)
    breaker.failed(now=0.0)
    assert breaker.tripped and not breaker.allows(now=FIRST_SECONDS / 2, in_flight=0)
    later = 2 * FIRST_SECONDS
    assert breaker.allows(later, in_flight=0) and not breaker.allows(later, in_flight=1)
    for _ in range(20):
        breaker.failed(now=0.0)
    assert FIRST_SECONDS < breaker.until <= 1.25 * MOST_SECONDS
    breaker.succeeded()
    assert not breaker.tripped and breaker.allows(now=0.0, in_flight=9)


def test_a_refused_key_opens_it_at_once():
    breaker = Breaker()
    breaker.failed(now=0.0, at_once=True)
    assert breaker.tripped


@pytest.mark.parametrize("where", ["env", "file"])
def test_the_key_is_sent_and_never_shown(where, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    (tmp_path / "key").write_text(KEY + "\n")
    given = {"api_key_env": "JUDGE_KEY"} if where == "env" else {"api_key_file": tmp_path / "key"}
    caplog.set_level(logging.DEBUG)

    def telltale(asked):  # a server that repeats the key in whatever it says
        said = f"heard {asked.headers['authorization']}"
        kind = len(service.asked) % 3
        return [Answer({"error": {"message": said}}, 401), Answer(completion(said)), Answer(said.encode())][kind]

    with serving(telltale) as (service, url):
        judge = judge_at([url], **given)
        shown = [repr(judge), repr(judge._pool.endpoints), repr(judge.settings), judge.settings.model_dump_json()]
        (outcome,) = ask([url], QUESTION, timeout=1.0, deadline=4.0, **given)
    assert {asked.headers["authorization"] for asked in service.asked} == {f"Bearer {KEY}"}
    shown += [repr(outcome), caplog.text, *(str(record.__dict__) for record in caplog.records)]
    assert len(service.asked) > 2 and "the judge at" in caplog.text
    assert not [text for text in shown if KEY in text]


def test_a_key_that_is_not_there_is_said_at_once(monkeypatch, tmp_path):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    (tmp_path / "empty").write_text("\n")
    for given, why in (
        ({"api_key_env": "JUDGE_KEY"}, "the environment variable JUDGE_KEY holds no key"),
        ({"api_key_file": tmp_path / "none"}, "the file with the judge's key cannot be read"),
        ({"api_key_file": tmp_path / "empty"}, "holds no key"),
    ):
        with pytest.raises(SettingsError, match=why):
            judge_at(["http://localhost:1"], **given)


def test_verl_s_reward_model_server_is_the_judge_without_endpoints(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # a router inside the cluster is not behind it
    import asyncio

    async def run(router):
        judge = Judge(JudgeSettings.read({}, "judge"), router=router, router_model="path/of/model")
        try:
            return await judge(*QUESTION)
        finally:
            await judge.close()

    with serving(verdict("correct")) as (service, url):
        outcome = asyncio.run(run(url.removeprefix("http://")))
    assert outcome == Outcome.right("judge") and service.asked[0].body["model"] == "path/of/model"
    with pytest.raises(SettingsError, match="the judge has no endpoints: set"):
        Judge(JudgeSettings.read({}, "judge"))


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_an_endpoint_is_named_with_or_without_v1(url):
    assert Endpoint(url, MODEL).url == "http://h:1/v1"
