"""Each provider against a real HTTP service: the request that it documents, its answers, and its ways to fail."""

import email.utils
import json
import logging
import time

import pytest
from local_service import Answer, serving

from verl_hdpo.tools.backoff import retry_after
from verl_hdpo.tools.io_loop import wait_on_io_loop
from verl_hdpo.tools.search import web_request
from verl_hdpo.tools.search.brave import Brave
from verl_hdpo.tools.search.passage import Passage, listing
from verl_hdpo.tools.search.provider import ProviderError, TransientError
from verl_hdpo.tools.search.retrieval_server import RetrievalServer
from verl_hdpo.tools.search.serpapi import SerpApi
from verl_hdpo.tools.search.serper import Serper

KEY = "k3y-that-must-not-leak"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    for name in ("SERPER_API_KEY", "SERPAPI_API_KEY", "BRAVE_API_KEY"):
        monkeypatch.setenv(name, KEY)


def ask(provider, query="who?", topk=2):
    return wait_on_io_loop(provider.search(query, topk), 30)


FOUND = [Passage("A", "first", "http://a"), Passage("B", "", "http://b")]
GOOGLE = [
    {"title": "A", "link": "http://a", "snippet": "first", "position": 1},
    {"title": "B", "link": "http://b", "position": 2},
    {"title": "C", "link": "http://c", "snippet": "third", "position": 3},
]
WEB = [
    {"title": "<strong>A</strong>", "url": "http://a", "description": "<strong>first</strong>"},
    {"title": "B", "url": "http://b"},
]
DOCUMENTS = [
    {"document": {"id": "7", "contents": '"A"\nfirst'}, "score": 0.9},
    {"document": {"id": "8", "contents": "B"}, "score": 0.8},
]
PROVIDERS = {
    "serper": (
        lambda url: Serper(kind="serper", url=url, params={"gl": "us"}),
        {"searchParameters": {"q": "who?"}, "organic": GOOGLE},
        {"searchParameters": {"q": "who?"}},
    ),
    "serpapi": (
        lambda url: SerpApi(kind="serpapi", url=url, params={"gl": "us"}),
        {"search_metadata": {"status": "Success"}, "organic_results": GOOGLE},
        {"search_metadata": {"status": "Success"}, "error": "Google hasn't returned any results for this query."},
    ),
    "brave": (
        lambda url: Brave(kind="brave", url=url, params={"gl": "us"}),
        {"query": {"original": "who?"}, "web": {"results": WEB}},
        {"query": {"original": "who?"}},
    ),
    "retrieval_server": (
        lambda url: RetrievalServer(kind="retrieval_server", url=url),
        {"result": [DOCUMENTS]},
        {"result": [[]]},
    ),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_answer_and_an_empty_one(name):
    make, full, empty = PROVIDERS[name]
    with serving(Answer(full), Answer(empty)) as (_, url):
        found = ask(make(url))
        expected = FOUND if name != "retrieval_server" else [Passage("A", "first", "7"), Passage("B", "", "8")]
        assert found == expected
        assert ask(make(url)) == []


def test_the_requests_are_those_that_the_services_document():
    with serving(Answer({})) as (service, url):
        for name, (make, _, _) in PROVIDERS.items():
            with pytest.raises(TransientError, match="of another shape"):
                ask(make(f"{url}/{name}"))
    serper, serpapi, brave, retrieval = service.asked
    assert (serper.method, serper.path, serper.params) == ("POST", "/serper", {})
    assert serper.body == {"q": "who?", "num": 2, "gl": "us"} and serper.headers["x-api-key"] == KEY
    assert (serpapi.method, serpapi.path) == ("GET", "/serpapi")
    assert serpapi.params == {"engine": "google", "q": "who?", "num": "2", "gl": "us", "api_key": KEY}
    assert (brave.method, brave.path, brave.params) == ("GET", "/brave", {"q": "who?", "count": "2", "gl": "us"})
    assert brave.headers["x-subscription-token"] == KEY
    assert (retrieval.method, retrieval.path) == ("POST", "/retrieval_server")
    assert retrieval.body == {"queries": ["who?"], "topk": 2, "return_scores": True}
    assert KEY not in str(retrieval.headers)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer({}, 500), TransientError, "answered 500"),
        (Answer({}, 503, {"Retry-After": "7"}), TransientError, "answered 503"),
        (Answer({}, 429), TransientError, "answered 429"),
        (Answer(b"<html>busy</html>"), TransientError, "sent what is not valid JSON: <html>busy"),
        (Answer([1, 2]), TransientError, "of another shape"),
        (Answer("text"), TransientError, "of another shape"),
        (Answer(None), TransientError, "RemoteProtocolError"),
        (Answer({"message": "bad key"}, 401), ProviderError, "answered 401: .*bad key"),
        (Answer({}, 403), ProviderError, "answered 403"),
        (Answer({}, 404), ProviderError, "answered 404"),
    ],
)
def test_each_way_to_fail(name, answer, error, says):
    with serving(answer) as (_, url), pytest.raises(error, match=says) as raised:
        ask(PROVIDERS[name][0](url))
    assert type(raised.value) is error and KEY not in str(raised.value)


@pytest.mark.parametrize("field", ["title", "link", "snippet"])
def test_a_result_without_a_snippet_is_one_and_without_a_title_is_none(field):
    answer = {"searchParameters": {}, "organic": [{**GOOGLE[0], field: None}]}
    with serving(Answer(answer)) as (_, url):
        if field == "snippet":
            assert ask(PROVIDERS["serper"][0](url)) == [Passage("A", "", "http://a")]
        else:
            with pytest.raises(TransientError, match="made of texts"):
                ask(PROVIDERS["serper"][0](url))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xe9", "caf\ufffd"),
        (b"cut \\ud83d", "cut \ud83d"),
        (b"a\\u0000b\\r", "a\0b\r"),
        (b"x" * 5_000_000, "x" * 5_000_000),
    ],
    ids=["a byte that is no character", "half of a surrogate pair", "null and return", "a long line"],
)
@pytest.mark.parametrize("name", PROVIDERS)
def test_no_text_keeps_an_answer_from_the_model(name, raw, text):
    """What is not valid Unicode is replaced where all tools' texts are."""
    make, answer, _ = PROVIDERS[name]
    with serving(Answer(json.dumps(answer).encode().replace(b"first", raw))) as (_, url):
        assert ask(make(url))[0].text == text


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_service_that_is_not_there(name):
    with serving(Answer({})) as (_, url):
        pass
    with pytest.raises(TransientError, match="ConnectError") as raised:
        ask(PROVIDERS[name][0](url))
    assert KEY not in str(raised.value)


def test_a_service_that_is_too_slow(monkeypatch):
    monkeypatch.setattr(web_request, "READ_SECONDS", 0.1)
    web_request._client.cache_clear()
    with serving(Answer({}, delay=2)) as (_, url):
        for make, _, _ in PROVIDERS.values():
            with pytest.raises(TransientError, match="ReadTimeout") as raised:
                ask(make(url))
            assert KEY not in str(raised.value)
    web_request._client.cache_clear()


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(web_request, "MAX_BYTES", 1000)
    with serving(Answer(b" " * 5000)) as (_, url), pytest.raises(TransientError, match="more than 1000 bytes"):
        ask(PROVIDERS["serper"][0](url))


def test_brave_is_sent_the_words_that_it_takes():
    with serving(Answer(PROVIDERS["brave"][2])) as (service, url):
        assert ask(PROVIDERS["brave"][0](url), " ".join(map(str, range(99)))) == []
    assert service.asked[0].params["q"] == " ".join(map(str, range(50)))


def test_serpapi_says_in_a_body_that_a_search_failed():
    body = {"search_metadata": {"status": "Error"}, "error": "We couldn't get valid results for this search."}
    with serving(Answer(body)) as (_, url), pytest.raises(TransientError, match="couldn't get valid results"):
        ask(PROVIDERS["serpapi"][0](url))


def test_no_key_in_any_log(caplog):
    caplog.set_level(logging.DEBUG, logger="httpx")  # a library that is imported by other tests may have quieted it
    with caplog.at_level(logging.DEBUG), serving(Answer({}, 500)) as (_, url):
        for make, _, _ in PROVIDERS.values():
            with pytest.raises(TransientError):
                ask(make(url))
    assert "HTTP Request" in caplog.text, "httpx logs URLs"
    assert KEY not in caplog.text


def test_retry_after_is_a_number_or_a_date():
    assert retry_after(None) is None
    assert retry_after("3") == 3.0
    assert retry_after("-3") == 0.0
    assert retry_after("soon") is None
    later = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 55 < retry_after(later) <= 60


def test_what_the_model_reads():
    assert listing([], True) == "No results."
    assert listing(FOUND, show_source=True) == "[1] A\nhttp://a\nfirst\n\n[2] B\nhttp://b"
    assert listing([Passage("", "text", "9")], show_source=False) == "[1]\ntext"
