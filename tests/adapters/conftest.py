"""A real TransferQueue, on Ray, for the tests of a process."""

import atexit
import shutil
import tempfile

import pytest
import ray
import transfer_queue as tq
from tenacity import retry, stop_after_attempt


@pytest.fixture(scope="module")
def transfer_queue():
    """The one of the test files before, where it still runs: a test of Ray itself may have ended it."""
    if ray.is_initialized():
        return
    directory = tempfile.mkdtemp(prefix="vh")  # Ray's sockets need a short path
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    _start_ray(directory)
    tq.close()  # of a Ray that was ended
    tq.init()


@retry(stop=stop_after_attempt(3), reraise=True)
def _start_ray(directory):
    """Ray gives its daemons 30 s to start (ray/_private/node.py), which a busy machine may not do."""
    ray.shutdown()
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False, _temp_dir=directory)
