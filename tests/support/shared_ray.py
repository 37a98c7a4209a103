"""The TransferQueue, on Ray, that the test files of a process share; a test of Ray itself ends it first."""

import shutil
import tempfile

import ray
import transfer_queue as tq
from tenacity import retry, stop_after_attempt

_directories: list[str] = []


def start() -> None:
    """Where it does not run yet."""
    if not ray.is_initialized():
        _directories.append(tempfile.mkdtemp(prefix="vh"))  # Ray's sockets need a short path
        _start_ray(_directories[-1])
        tq.init()


def end() -> None:
    """Where it runs."""
    if _directories:
        tq.close()
        ray.shutdown()
        shutil.rmtree(_directories.pop(), ignore_errors=True)


@retry(stop=stop_after_attempt(3), reraise=True)
def _start_ray(directory: str) -> None:
    """Ray gives its daemons 30 s to start (ray/_private/node.py), which a busy machine may not do."""
    ray.shutdown()
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False, _temp_dir=directory)
