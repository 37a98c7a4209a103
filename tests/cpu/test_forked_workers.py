"""Ray's workers, forked from one process that has imported what they need: a real Ray, and small modules to import."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator

import psutil
import pytest
import ray
import shared_ray

from verl_hdpo.runs.forked_workers import py_executable

pytestmark = pytest.mark.slow

IMPORTED = """
import os
import ray

pid = os.getpid()

@ray.remote
class DrawsAnIdHere:
    pass

if os.environ.get("DRAW_ANOTHER"):
    ray.ObjectRef.from_random()
"""


@pytest.fixture
def cluster(tmp_path, request) -> Iterator[None]:
    (tmp_path / "imported_once.py").write_text(IMPORTED)
    temp_dir = tempfile.mkdtemp(prefix="vh")  # Ray's sockets need a short path
    shared_ray.end()
    ray.init(
        num_cpus=8,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80_000_000,
        _temp_dir=temp_dir,
        runtime_env={
            "py_executable": py_executable(["imported_once", "numpy", "no_such_module"]),
            "env_vars": {"PYTHONPATH": str(tmp_path), **getattr(request, "param", {})},
        },
    )
    yield
    ray.shutdown()
    shutil.rmtree(temp_dir, ignore_errors=True)


@ray.remote
class Worker:
    def seen(self) -> dict:
        import imported_once
        import numpy

        return {
            "pid": os.getpid(),
            "server": imported_once.pid,
            "drawn": numpy.random.random(),
            "id drawn": ray.ObjectRef.from_random().hex(),
            "own": os.environ.get("OWN"),
            "id": next(argument for argument in sys.argv if argument.startswith("--worker-id=")),
        }

    def end(self) -> None:
        os._exit(3)


def asker(worker_id: str) -> psutil.Process:
    """The process that Ray started, which asked for the worker and waits for its end."""
    commands = {process: process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])}
    (found,) = (process for process, command in commands.items() if worker_id in command and "-I" in command)
    return found


def has_ended(pid: int, seconds: float = 30) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_workers_share_what_one_process_imported_and_nothing_else(cluster):
    first, second = Worker.remote(), Worker.options(runtime_env={"env_vars": {"OWN": "2"}}).remote()
    seen = ray.get([first.seen.remote(), second.seen.remote()])
    assert len({worker["pid"] for worker in seen}) == 2
    (server,) = {worker["server"] for worker in seen} - {worker["pid"] for worker in seen}
    assert [worker["own"] for worker in seen] == [None, "2"]
    for drawn in ("drawn", "id drawn"):
        assert seen[0][drawn] != seen[1][drawn]
    ray.shutdown()
    assert has_ended(server)


def test_a_worker_and_the_process_that_asked_for_it_end_together(cluster):
    def killed(worker, _):
        ray.kill(worker)

    def left(worker, _):
        worker.end.remote()

    def alone(_, asked_by):
        asked_by.kill()

    for ending in (killed, left, alone):
        worker = Worker.remote()
        seen = ray.get(worker.seen.remote())
        asked_by = asker(seen["id"])
        ending(worker, asked_by)
        assert has_ended(seen["pid"]), ending
        assert has_ended(asked_by.pid), ending
        with pytest.raises(ray.exceptions.RayActorError):
            ray.get(worker.seen.remote())


def test_without_its_server_a_worker_starts_as_usual(cluster):
    os.kill(ray.get(Worker.remote().seen.remote())["server"], signal.SIGKILL)
    workers = [Worker.remote() for _ in range(4)]  # Ray may have the next one or two ready
    seen = ray.get([worker.seen.remote() for worker in workers])
    assert any(worker["server"] == worker["pid"] for worker in seen)


@pytest.mark.parametrize("cluster", [{"DRAW_ANOTHER": "1"}], indirect=True)
def test_no_worker_is_forked_that_would_draw_the_ids_of_another(cluster):
    workers = [Worker.remote() for _ in range(2)]
    seen = ray.get([worker.seen.remote() for worker in workers])
    assert [worker["server"] == worker["pid"] for worker in seen] == [True, True]
    assert seen[0]["id drawn"] != seen[1]["id drawn"]
