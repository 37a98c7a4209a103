"""Verdicts on disk: shared by processes, nobody else's to write, and no verdict where the disk is at fault."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from verl_hdpo.grading.verdict_cache import VerdictCache, verdict_key
from verl_hdpo.settings.group import SettingsError

WRITER = """
import sys
from pathlib import Path
from verl_hdpo.grading.verdict_cache import VerdictCache, verdict_key
cache, name = VerdictCache(Path(sys.argv[1])), sys.argv[2]
for i in range(100):
    cache.put(verdict_key(["shared", str(i)]), "correct")
    cache.put(verdict_key([name, str(i)]), name)
    assert cache.get(verdict_key([name, str(i)])) == name
"""


def test_many_processes_write_and_read_it_at_once(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)]) for n in range(4)]
    assert [writer.wait(timeout=300) for writer in writers] == [0] * 4
    cache = VerdictCache(tmp_path)
    assert {cache.get(verdict_key([str(n), str(i)])) for n in range(4) for i in range(100)} == set("0123")
    assert {cache.get(verdict_key(["shared", str(i)])) for i in range(100)} == {"correct"}


def test_threads_share_one(tmp_path):
    cache = VerdictCache(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda i: cache.put(verdict_key([i]), str(i)), range(100)))
        assert list(threads.map(lambda i: cache.get(verdict_key([i])), range(100))) == [str(i) for i in range(100)]


def test_another_key_is_another_verdict(tmp_path):
    cache = VerdictCache(tmp_path)
    cache.put(verdict_key(["a", "b"]), "correct")
    for other in (["ab"], ["a", "b", ""], ["b", "a"], [["a", "b"]], ["A", "b"]):
        assert cache.get(verdict_key(other)) is None


def test_a_folder_that_others_may_write_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(SettingsError, match="is open to other users"):
        VerdictCache(tmp_path)


def test_a_folder_that_cannot_be_used_is_refused_and_a_broken_file_is_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="verdicts cannot be kept in"):
        VerdictCache(tmp_path / "file")
    cache = VerdictCache(tmp_path / "folder")
    for path in (tmp_path / "folder").glob("cache.db*"):
        path.write_bytes(b"no database" * 1000)
    cache.put(verdict_key(["a"]), "correct")
    assert cache.get(verdict_key(["b"])) is None
    assert "the cache of verdicts" in caplog.text
