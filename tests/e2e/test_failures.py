"""A run that cannot go on ends with an error, and one that is interrupted leaves no process behind."""

import contextlib
import os
import signal
import threading
import time

import psutil
import pytest

TEST_MARK = "VERL_HDPO_TEST"  # set in conftest.py


def processes_of_runs():
    """Every process that a run of these tests started, its Ray daemons among them, by the mark in its environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            ours = process.environ().get(TEST_MARK) == str(os.getpid())
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_a_dead_worker_ends_the_run_with_an_error(train):
    """verl's own driver would wait for the worker for ever."""
    killed = []

    def kill_a_training_worker():
        for process in processes_of_runs():
            if process.cmdline()[0].startswith("ray::WorkerDict"):
                killed.append(time.monotonic())
                process.kill()

    run = train("dead-worker", "algorithm.adv_estimator=hdpo", after_step={1: kill_a_training_worker})
    ended = time.monotonic()
    assert killed
    assert run.code != 0
    assert ended - killed[0] < 120
    assert not processes_of_runs()


def test_ctrl_c_leaves_no_process_behind(train):
    def interrupt_when_started():
        while not any("raylet" in " ".join(p.cmdline()[:1]) for p in processes_of_runs()):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_started, daemon=True).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            train("interrupted", "algorithm.adv_estimator=hdpo")
    finally:
        signal.signal(signal.SIGINT, before)
    assert not processes_of_runs()
