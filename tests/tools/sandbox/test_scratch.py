"""Directories that hostile code filled are measured and removed, whatever is in them."""

import ctypes
import math
import os
import random

import pytest

from verl_hdpo.tools.sandbox import scratch


def fill(root, chosen, depth=0):
    """A random tree; returns its size as ``du`` counts."""
    total = 0
    for number in range(chosen.randrange(5)):
        path = root / f"{number}"
        kind = chosen.choice(["file", "directory", "link", "fifo", "unreadable"])
        if kind == "file":
            path.write_bytes(b"x" * chosen.randrange(20_000))
        elif kind == "link":
            path.symlink_to(chosen.choice(["/", "..", ".", "missing"]))
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.mkdir()
            if depth < 4:
                total += fill(path, chosen, depth + 1)
            if kind == "unreadable":
                path.chmod(0)
        total += path.lstat().st_blocks * 512
    return total


@pytest.mark.parametrize("seed", range(15))
def test_a_random_tree(tmp_path, seed):
    outside = tmp_path / "outside"
    outside.write_text("stays")
    root = tmp_path / "root"
    root.mkdir()
    size = fill(root, random.Random(seed))
    (root / "link").symlink_to(outside)
    if os.geteuid() == 0:  # who may read everything
        assert scratch.used_bytes(str(root), None) == size + (root / "link").lstat().st_blocks * 512
    scratch.remove(str(root))
    assert os.listdir(tmp_path) == ["outside"]
    assert outside.read_text() == "stays"


def test_a_tree_too_deep_for_a_path(tmp_path):
    root, here = tmp_path / "root", os.getcwd()
    root.mkdir()
    os.chdir(root)
    try:
        for _ in range(40):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
        with open("file", "wb") as file:
            file.write(b"x" * 5000)
    finally:
        os.chdir(here)
    assert scratch.used_bytes(str(root), None) == math.inf
    scratch.remove(str(root))
    assert os.listdir(tmp_path) == []


def test_deleted_files_that_are_open_count(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        file.write(b"x" * 100_000)
        file.flush()
        os.unlink(tmp_path / "file")
        assert scratch.used_bytes(str(tmp_path), "/proc/self") >= 100_000
        assert scratch.used_bytes(str(tmp_path), None) == 0


@pytest.mark.parametrize("name", ["file", "line\rbreak", "line\nbreak", "half \udcff", "with (deleted)"])
def test_a_deleted_file_that_only_a_mapping_holds_has_no_size(name, tmp_path):
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    size = ctypes.c_size_t(4096)
    others = scratch.used_bytes(str(tmp_path), "/proc/self")  # deleted files that the test runner has open
    with open(tmp_path / name, "w+b") as file:
        file.write(bytes(4096))
        file.flush()
        mapping = libc.mmap(None, size, 1, 1, file.fileno(), ctypes.c_long(0))
        os.unlink(tmp_path / name)
        assert scratch.used_bytes(str(tmp_path), "/proc/self") == others + 4096
    assert scratch.used_bytes(str(tmp_path), "/proc/self") == math.inf
    libc.munmap(ctypes.c_void_p(mapping), size)
    assert scratch.used_bytes(str(tmp_path), "/proc/self") == others


@pytest.mark.parametrize("shape", ["a chain", "many", "many each in many"])
@pytest.mark.slow
def test_no_more_of_a_tree_is_looked_at_than_an_honest_session_makes(shape, tmp_path, monkeypatch):
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        if shape == "a chain":
            for _ in range(1950):
                os.mkdir("a")
                os.chdir("a")
        elif shape == "many":
            for number in range(scratch.MAX_ENTRIES + 500):
                os.mkdir(str(number))
        else:
            for number in range(70):
                os.mkdir(str(number))
                for inner in range(70):
                    os.mkdir(f"{number}/{inner}")
    finally:
        os.chdir(here)
    looked, scandir = [], os.scandir

    def counting(directory):
        looked.append(directory)
        return scandir(directory)

    monkeypatch.setattr(os, "scandir", counting)
    assert scratch.used_bytes(str(tmp_path), None) == math.inf
    assert len(looked) <= (scratch.MAX_DEPTH + 1 if shape == "a chain" else scratch.MAX_ENTRIES + 1)
    scratch.remove(str(tmp_path))


def test_too_many_files_are_not_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "MAX_ENTRIES", 10)
    for number in range(11):
        (tmp_path / str(number)).touch()
    assert scratch.used_bytes(str(tmp_path), None) == math.inf


def test_what_is_not_there_is_removed(tmp_path):
    scratch.remove(str(tmp_path / "none"))
    scratch.remove_for_good(str(tmp_path / "none"))
