"""The end of a run's processes, those aside that a real training shows."""

import subprocess
import sys
from pathlib import Path

import pytest

from verl_hdpo.runs.process_tree import ProcessTree

pytestmark = pytest.mark.slow

STUBBORN = """
import signal, time
from multiprocessing.shared_memory import SharedMemory

signal.signal(signal.SIGTERM, signal.SIG_IGN)
memory = SharedMemory(create=True, size=1000)
print(memory.name, flush=True)
time.sleep(600)
"""


def test_shared_memory_goes_with_a_process_that_must_be_killed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    segment = Path("/dev/shm", process.stdout.readline().strip())
    tree = ProcessTree(process.pid, tmp_path)
    assert segment.is_file() and len(tree.alive()) == 2
    tree.end(grace=1.0)
    assert not tree.alive() and not segment.exists()
    process.wait()


QUICK = """
import signal
from multiprocessing import get_context

signal.signal(signal.SIGTERM, signal.SIG_IGN)
semaphore = get_context("spawn").Lock()
print(semaphore._semlock.name, flush=True)
signal.pause()
"""


def test_semaphores_that_were_never_seen_go_with_a_process_that_must_be_killed(tmp_path):
    """Its resource tracker is left to remove them: this process looks at the memory of others now and then only."""
    process = subprocess.Popen([sys.executable, "-c", QUICK], stdout=subprocess.PIPE, text=True)
    semaphore = Path("/dev/shm", "sem." + process.stdout.readline().strip().lstrip("/"))
    tree = ProcessTree(process.pid, tmp_path)
    tree.alive()
    tree._shared_memory.clear()
    tree.look = lambda: None
    assert semaphore.is_file()
    tree.end(grace=1.0)
    assert not tree.alive() and not semaphore.exists()
    process.wait()
