"""The end of a run's processes, those aside that a real training shows."""

import subprocess
import sys
from pathlib import Path

from verl_hdpo.cpu.process_tree import ProcessTree

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
