"""A search from query to passages: the cache, the rate limit, retries, and one deadline over all; faults injected."""

import asyncio
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hang import HANG_SECONDS
from local_service import Answer, serving

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.io_loop import wait_on_io_loop
from verl_hdpo.tools.search import searcher as searcher_module
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.provider import ProviderError
from verl_hdpo.tools.search.rate_limit import RateLimit
from verl_hdpo.tools.search.result_cache import ResultCache
from verl_hdpo.tools.search.retrieval_server import RetrievalServer
from verl_hdpo.tools.search.searcher import Searcher

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(searcher_module, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(searcher_module, "LONGEST_WAIT", 0.01)


def found(text):
    return Answer({"result": [[{"document": {"id": "1", "contents": f"title\n{text}"}}]]})


def make(url, deadline=20.0, **parts):
    return Searcher(RetrievalServer(kind="retrieval_server", url=url), 3, deadline, **parts)


def search(searcher, *queries):
    async def all_at_once():
        return await asyncio.gather(*map(searcher.search, queries))

    return wait_on_io_loop(all_at_once(), 60)


def test_faults_that_pass_are_waited_out():
    with serving(Answer({}, 500), Answer(None), Answer(b"garbage"), Answer([]), found("ok")) as (service, url):
        assert search(make(url), "q") == [[Passage("title", "ok", "1")]]
        assert len(service.asked) == 5


def test_a_refusal_is_not_repeated():
    with serving(Answer({"error": "no such key"}, 401)) as (service, url):
        with pytest.raises(ToolUnavailable, match=r"retrieval_server search: .*answered 401.*no such key"):
            search(make(url), "q")
        assert len(service.asked) == 1


@pytest.mark.parametrize("answer", [Answer({}, 500), Answer({}, delay=5), Answer(b"garbage")])
def test_after_the_deadline_the_tool_is_unavailable(answer):
    with serving(answer) as (_, url), pytest.raises(ToolUnavailable):
        search(make(url, deadline=0.3), "q")


def test_a_fault_of_our_own_is_not_the_model_s(monkeypatch):
    async def broken(self, query, topk):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(RetrievalServer, "search", broken)
    with pytest.raises(ToolUnavailable, match="a bug"):
        search(make("http://nowhere"), "q")


def test_retry_after_is_obeyed_by_every_process_s_next_query(tmp_path):
    with serving(Answer({}, 429, {"Retry-After": "0.5"}), found("ok")) as (service, url):
        limit = RateLimit(tmp_path, "key", None)
        search(make(url, rate_limit=limit), "q")
        assert service.asked[1].time - service.asked[0].time >= 0.5
        limit.pause(100)
        assert 99 < RateLimit(tmp_path, "key", None).take(200) <= 100
        assert RateLimit(tmp_path, "another key", None).take(200) == 0


def test_a_pause_longer_than_the_deadline_is_not_waited_for():
    with serving(Answer({}, 429, {"Retry-After": "3600"})) as (service, url):
        with pytest.raises(ToolUnavailable, match="429"):
            search(make(url, deadline=30), "q")
        assert len(service.asked) == 1


def test_equal_queries_at_the_same_time_are_sent_once():
    def answer(asked):
        return Answer(found(asked.body["queries"][0]).body, delay=0.2)

    with serving(answer) as (service, url):
        results = search(make(url), *["a", " a ", "b"] * 10)
        assert [[passage.text for passage in result] for result in results] == [["a"], ["a"], ["b"]] * 10
        assert sorted(asked.body["queries"][0] for asked in service.asked) == ["a", "b"]


def test_a_caller_that_leaves_does_not_take_the_answer_from_the_others():
    async def one_leaves(searcher):
        leaving, staying = (asyncio.ensure_future(searcher.search("q")) for _ in range(2))
        await asyncio.sleep(0.05)
        leaving.cancel()
        return await staying

    with serving(Answer(found("ok").body, delay=0.3)) as (service, url):
        assert wait_on_io_loop(one_leaves(make(url)), 30) == [Passage("title", "ok", "1")]
        assert len(service.asked) == 1


def test_results_are_kept_for_the_next_run_and_failures_are_not(tmp_path):
    with serving(Answer({}, 401), found("first"), found("second")) as (service, url):
        with pytest.raises(ToolUnavailable):
            search(make(url, cache=ResultCache(tmp_path)), "q")
        first = search(make(url, cache=ResultCache(tmp_path)), "q")
        asked = len(service.asked)
        assert search(make(url, cache=ResultCache(tmp_path)), "  q ") == first
        assert len(service.asked) == asked
        other_topk = Searcher(RetrievalServer(kind="retrieval_server", url=url), 4, 20.0, cache=ResultCache(tmp_path))
        assert search(other_topk, "q") != first


def test_nothing_found_is_kept_too(tmp_path):
    with serving(Answer({"result": [[]]})) as (service, url):
        assert search(make(url, cache=ResultCache(tmp_path)), "q") == [[]]
        assert search(make(url, cache=ResultCache(tmp_path)), "q") == [[]]
        assert len(service.asked) == 1


def test_a_broken_cache_is_no_cache(tmp_path, caplog):
    cache = ResultCache(tmp_path)
    (tmp_path / "cache.db").write_bytes(b"not a database" * 1000)
    with serving(found("ok")) as (_, url), caplog.at_level(logging.WARNING):
        assert search(make(url, cache=cache), "q") == [[Passage("title", "ok", "1")]]
    assert "could not read the cache of searches" in caplog.text


WRITER = """
import sys
from pathlib import Path
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.result_cache import ResultCache
cache, me = ResultCache(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[3])):
    cache.put("p", f"shared {i}", 3, [Passage(f"shared {i}", me)])
    cache.put("p", f"{me} {i}", 3, [Passage(me, str(i))])
    for got in (cache.get("p", f"shared {j}", 3) for j in (i, i // 2)):
        assert got[0].title.startswith("shared"), got
print("done", flush=True)
"""


def test_many_processes_share_a_cache_and_one_is_killed(tmp_path):
    def start(name, count):
        command = [sys.executable, "-c", WRITER, str(tmp_path), name, str(count)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    writers, victim = [start(f"w{i}", 60) for i in range(3)], start("victim", 100_000)
    try:
        for process in (*writers, victim):
            assert process.stdout.readline() == "ready\n"
        for process in (*writers, victim):
            process.stdin.write("go\n")
            process.stdin.flush()
        threading.Event().wait(0.2)
        victim.kill()
        for process in writers:
            assert process.wait(HANG_SECONDS) == 0
    finally:
        for process in (*writers, victim):
            process.kill()
            process.communicate()
    cache = ResultCache(tmp_path)
    for i in range(60):
        assert cache.get("p", f"shared {i}", 3)[0].title == f"shared {i}"
        for me in ("w0", "w1", "w2"):
            assert cache.get("p", f"{me} {i}", 3) == [Passage(me, str(i))]


TAKER = """
import sys, time
from pathlib import Path
from verl_hdpo.tools.search.rate_limit import RateLimit
limit = RateLimit(Path(sys.argv[1]), "key", 50)
for _ in range(20):
    asked = time.time()
    print(asked + limit.take(1000), flush=True)
"""


def test_processes_keep_one_rate_together(tmp_path):
    command = [sys.executable, "-c", TAKER, str(tmp_path)]
    takers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    slots = sorted(float(line) for taker in takers for line in taker.communicate()[0].splitlines())
    assert all(taker.returncode == 0 for taker in takers) and len(slots) == 60
    # A slot is reported with the clock read a moment earlier; over all of them that moment does not add up.
    assert slots[-1] - slots[0] >= 59 / 50 - 0.5
    assert RateLimit(tmp_path, "key", 50).take(1000) < 59 / 50 + 1


def test_slots_are_one_interval_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("verl_hdpo.tools.search.rate_limit.time.time", lambda: 1000.0)
    limit = RateLimit(tmp_path, "key", 4)
    assert [limit.take(10) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]
    with pytest.raises(ProviderError, match="over the rate limit"):
        limit.take(0.9)
    assert limit.take(10) == 1.0, "a slot that was refused is not used up"


def test_the_key_itself_is_not_stored(tmp_path):
    RateLimit(tmp_path, "s3cret", 4).take(1)
    assert all(b"s3cret" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_waiting_for_a_slot_counts_towards_the_deadline(tmp_path):
    limit = RateLimit(tmp_path, "key", 0.01)
    with serving(found("ok")) as (service, url):
        searcher = make(url, deadline=5, rate_limit=limit)
        search(searcher, "a")
        with pytest.raises(ToolUnavailable, match="over the rate limit"):
            search(searcher, "b")
        assert len(service.asked) == 1


def test_a_locked_cache_holds_up_no_other_tool():
    locked = threading.Event()

    class Locked:
        def get(self, provider, query, topk):
            locked.wait(HANG_SECONDS)
            return [Passage("title", "ok")]

    async def run():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        task = asyncio.ensure_future(make("http://nowhere", cache=Locked()).search("q"))
        await asyncio.sleep(0.05)
        try:
            assert await asyncio.wait_for(asyncio.to_thread(int), 10) == 0
        finally:
            locked.set()
        assert await task == [Passage("title", "ok")]

    asyncio.run(run())
