"""When a run on the CPU is ended: a trainer that stands still, one whose worker died, and one that others starve."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verl_hdpo.runs import cpu_run
from verl_hdpo.runs.cpu_run import STALLED, run_verl
from verl_hdpo.runs.tree_clock import had

pytestmark = pytest.mark.slow

TRAINER = """
import json, os, time

def log_step():
    with open(os.environ["VERL_FILE_LOGGER_PATH"], "a") as out:
        out.write(json.dumps({"step": 1, "data": {}}) + "\\n")
"""
BUSY = """
import os, time
os.sched_setaffinity(0, [{core}])
while time.process_time() < {seconds}:
    pass
"""


@pytest.fixture
def run_trainer(tmp_path, monkeypatch):
    """``run_trainer(code)``: the exit code of a run of that trainer, its steps and its log."""
    monkeypatch.setattr(cpu_run, "POLL_SECONDS", 0.05)

    def run(code: str, **options) -> tuple[int, list[int], str]:
        (tmp_path / "trainer.py").write_text(TRAINER + code)
        steps, log = [], tmp_path / "train.log"
        env = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
        ended = run_verl(
            [], run_dir=tmp_path / "run", log_path=log, module="trainer", env=env,
            on_metrics=lambda step, metrics: steps.append(step), **options,
        )  # fmt: skip
        return ended, steps, log.read_text()

    return run


def test_a_run_that_stands_still_is_ended_and_the_setting_is_named(run_trainer):
    code, steps, log = run_trainer("log_step()\ntime.sleep(600)", stall_timeout=2.0)
    assert (code, steps) == (STALLED, [1])
    assert "no step was logged for 2 s" in log and "--stall-timeout" in log


def test_a_run_that_waits_for_a_dead_worker_is_ended(run_trainer):
    code, steps, log = run_trainer(
        "print('ray.exceptions.ActorDiedError', flush=True)\ntime.sleep(600)", death_grace=1.0
    )
    assert (code, steps) == (1, [])
    assert "a worker died (ActorDiedError)" in log


@pytest.mark.parametrize(
    ("ran", "waited", "seconds"),
    [
        (0.0, 0.0, 10.0),  # all sleep
        (9.9, 0.0, 10.0),
        (1.0, 9.0, 1.0),  # one thread, a tenth of a core
        (2.0, 38.0, 0.5),  # several threads, a twentieth of what they ask for
        (0.01, 0.1, 9.9),  # daemons
    ],
)
def test_of_ten_seconds_those_count_in_which_a_run_could_work(ran, waited, seconds):
    assert had(10.0, ran, waited) == pytest.approx(seconds)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not say how long threads wait")
@pytest.mark.slow
def test_a_run_that_other_work_starves_is_not_taken_for_stalled(run_trainer):
    """It needs 2 s of a core before its first step, may take 4, and with three others on that core takes about 8."""
    core = min(os.sched_getaffinity(0))
    others = [
        subprocess.Popen([sys.executable, "-c", BUSY.format(core=core, seconds=600)], start_new_session=True)
        for _ in range(3)
    ]
    try:
        began = time.monotonic()
        code, steps, _ = run_trainer(BUSY.format(core=core, seconds=2) + "log_step()", stall_timeout=2.0)
        assert time.monotonic() - began > 4, "the trainer was not starved"
        assert (code, steps) == (0, [1])
    finally:
        for process in others:
            process.kill()
            process.wait()
