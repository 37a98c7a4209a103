"""``Endpoint`` against a real server: what is asked again, what is given up, and where keys go."""

from __future__ import annotations

import asyncio
import logging

import openai
import pytest
from completions_server import serving

from verl_hdpo.evaluation.endpoint import ATTEMPTS, Endpoint, EndpointError


@pytest.fixture
def server():
    with serving(lambda prompt, request: "four") as server:
        yield server


@pytest.fixture
def no_waits(monkeypatch):
    async def now(self, **kwargs):
        pass

    monkeypatch.setattr(openai.AsyncOpenAI, "_sleep_for_retry", now)


def complete(server, **options):
    async def ask():
        endpoint = Endpoint(server.url, **options)
        try:
            await endpoint.connect()
            return await endpoint.complete([1, 2, 3], {"max_tokens": 5, "temperature": 0.5})
        finally:
            await endpoint.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("failures", [[503], [429, 500, 502, 504, 408]])
def test_a_server_in_trouble_is_asked_again(server, no_waits, failures):
    server.failures = list(failures)
    assert complete(server).text == "four"
    assert len(server.requests) == len(failures) + 1


def test_a_server_that_stays_in_trouble_is_given_up(server, no_waits):
    server.failures = [503] * (ATTEMPTS + 1)
    with pytest.raises(EndpointError, match=f"answered HTTP 503, {ATTEMPTS} times: .*scripted failure"):
        complete(server)
    assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_is_told_at_once(server, status):
    server.failures = [status]
    with pytest.raises(EndpointError, match=f"answered HTTP {status}: .*scripted failure"):
        complete(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": None}, {"choices": [{"index": 0}]}, []])
def test_an_answer_of_another_kind_is_told(server, monkeypatch, body):
    answer = server.answer
    monkeypatch.setattr(
        server, "answer", lambda path, request: answer(path, request) if request is None else (200, body)
    )
    with pytest.raises(EndpointError, match="answered no completion"):
        complete(server)


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": [{"name": "x"}]}, [], "models"])
def test_a_server_of_another_kind_is_told(server, monkeypatch, body):
    monkeypatch.setattr(server, "answer", lambda path, request: (200, body))
    with pytest.raises(EndpointError, match="does not list models"):
        complete(server)


def test_a_key_goes_to_the_server_and_into_no_log(server, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-environment")
    with caplog.at_level(logging.DEBUG):
        complete(server, api_key="given-secret")
        complete(server)
    assert server.keys == ["Bearer given-secret", "Bearer no-key-was-given"]
    assert "given-secret" not in caplog.text and "of-the-environment" not in caplog.text
    server.failures = [401]
    with pytest.raises(EndpointError) as told:
        complete(server, api_key="given-secret")
    assert "given-secret" not in str(told.value)
