"""What another user, or another program, puts into a cache's folder runs nothing and is not taken for an entry."""

import os
import pickle
import sqlite3
import zlib
from pathlib import Path

import pytest

from verl_hdpo.grading.verdict_cache import VerdictCache
from verl_hdpo.runs.private_cache import NotPrivate, private_cache
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.rate_limit import RateLimit
from verl_hdpo.tools.search.result_cache import ResultCache


class Bomb:
    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


def plant(folder, **columns):
    with sqlite3.connect(folder / "cache.db") as database:
        names = ", ".join(f"{name} = ?" for name in columns)
        assert database.execute(f"UPDATE Cache SET {names}", tuple(columns.values())).rowcount
    database.close()


@pytest.fixture
def proof(tmp_path):
    return tmp_path / "code ran"


@pytest.fixture
def planted(tmp_path, proof):
    """Rows of every form that diskcache's own disks would load."""
    bomb = pickle.dumps(Bomb(proof))
    (tmp_path / "file.val").write_bytes(bomb)
    return {
        "a pickled value": {"mode": 4, "value": bomb},
        "a pickled value, compressed": {"mode": 4, "value": zlib.compress(bomb)},
        "a pickled file": {"mode": 4, "value": None, "filename": str(tmp_path / "file.val")},
        "a file of the host": {"mode": 3, "value": None, "filename": "/etc/hostname"},
        "bytes": {"mode": 1, "value": bomb},
        "a number": {"mode": 1, "value": 3},
        "broken JSON": {"mode": 1, "value": "[1"},
        "JSON too deep to read": {"mode": 1, "value": "[" * 99_999},
        "JSON of another kind": {"mode": 1, "value": '[["a"], {"b": 1}]'},
        "no number": {"mode": 1, "value": "NaN"},
        "a time without end": {"mode": 1, "value": "1e308"},
        "a pickled key": {"raw": 0, "key": bomb},
    }


FORMS = ["a pickled value", "a pickled value, compressed", "a pickled file", "a file of the host", "bytes", "a number",
         "broken JSON", "JSON too deep to read", "JSON of another kind", "no number", "a time without end",
         "a pickled key"]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_row_of_the_search_cache_is_no_entry(form, planted, proof, tmp_path):
    folder = tmp_path / "cache"
    cache = ResultCache(folder)
    cache.put("p", "q", 3, [Passage("t", "x")])
    assert cache.get("p", "q", 3) == [Passage("t", "x")]
    plant(folder, **planted[form])
    assert ResultCache(folder).get("p", "q", 3) is None
    assert not proof.exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_row_of_the_verdicts_is_no_verdict(form, planted, proof, tmp_path):
    folder = tmp_path / "verdicts"
    VerdictCache(folder).put("key", "yes")
    plant(folder, **planted[form])
    assert VerdictCache(folder).get("key") is None
    assert not proof.exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_row_of_the_rate_limit_runs_nothing(form, planted, proof, tmp_path):
    folder = tmp_path / "rate"
    RateLimit(folder, "secret", 1.0).pause(0.1)
    plant(folder, **planted[form])
    assert 0 <= RateLimit(folder, "secret", 1.0).take(100.0) <= 100.0
    assert not proof.exists()


def test_dropping_a_planted_row_deletes_no_file_of_the_host(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("x")
    folder = tmp_path / "cache"
    with private_cache(folder) as cache:
        cache["a"] = 1
        plant(folder, filename="../kept")
        cache.clear()
    assert kept.exists()


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o777])
def test_a_folder_that_is_open_to_others_is_refused(mode, tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    for use in (private_cache, ResultCache, lambda path: RateLimit(path, "s", None)):
        with pytest.raises(NotPrivate, match=rf"open to other users \(mode {mode:04o}\).*chmod 700"):
            use(folder)


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NotPrivate, match="belongs to another user"):
        private_cache(folder)


def test_a_new_folder_is_closed_to_others(tmp_path):
    private_cache(tmp_path / "a" / "b").close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("value", [None, 1.5, "text \ud83d", ["a", {"b": [1]}], "x" * 100_000])
def test_json_comes_back(value, tmp_path):
    with private_cache(tmp_path / "c") as cache:
        cache["key", 1] = value
        assert cache["key", 1] == value
        assert [path.name for path in (tmp_path / "c").iterdir() if not path.name.startswith("cache.db")] == []
