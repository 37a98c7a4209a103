"""The TransferQueue, on Ray, that the test files of a process share; a test of Ray itself ends it first."""

import atexit
import shutil
import tempfile

import ray
import transfer_queue as tq
from tenacity import retry, stop_after_attempt


def start() -> None:
    """Where it does not run yet."""
    if not ray.is_initialized():
        directory = tempfile.mkdtemp(prefix="vh")  # Ray's sockets need a short path
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        _start_ray(directory)
        tq.init()


def end() -> None:
    if ray.is_initialized():
        tq.close()
        ray.shutdown()


@retry(stop=stop_after_attempt(3), reraise=True)
def _start_ray(directory: str) -> None:
    """Ray gives its daemons 30 s to start (ray/_private/node.py), which a busy machine may not do."""
    ray.shutdown()
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False, _temp_dir=directory)
