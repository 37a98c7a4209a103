"""``verl-hdpo compare --ray-jobs``: a Ray cluster of its own, with a trainer that only logs."""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import psutil
import pytest
import requests
import trainer_that_logs
from free_port import free_port
from ray.job_submission import JobSubmissionClient

from verl_hdpo.cli import ray_jobs, training_run

pytestmark = pytest.mark.slow
SECONDS_TO_START = 120


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster's dashboard."""
    folder, port = tempfile.mkdtemp(prefix="vh"), free_port()
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--disable-usage-stats"]
    command += [f"--port={free_port()}", f"--dashboard-port={port}", f"--temp-dir={folder}"]
    command += ["--num-cpus=8", "--object-store-memory=100000000", "--dashboard-agent-listen-port=0"]
    env = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env) as process:
        try:
            yield answering(f"http://127.0.0.1:{port}", process)
        finally:
            for part in psutil.Process(process.pid).children(recursive=True):  # an orderly end takes half a minute
                with contextlib.suppress(psutil.NoSuchProcess):
                    part.kill()
    shutil.rmtree(folder, ignore_errors=True)


def answering(address, process):
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            JobSubmissionClient(address).list_jobs()
            return address
        except (OSError, RuntimeError):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.5)


@pytest.fixture
def run_here(tmp_path, monkeypatch):
    trainer_that_logs.draw_nothing(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return trainer_that_logs.command(tmp_path, monkeypatch)


@pytest.fixture
def run_compare(cluster, run_here):
    return functools.partial(run_here, "--ray-jobs", cluster)


def starts(tmp_path):
    """How often the trainer was started for each run."""
    logs = (tmp_path / "out").rglob("train.log")
    return {str(log.parent.relative_to(tmp_path / "out" / "runs")): log.read_text().count("started") for log in logs}


def test_two_at_a_time(run_compare, tmp_path):
    done = run_compare("--algos", "grpo,hdpo", "--seeds", "2", "--at-once", "2", "--", "a.b=1")
    assert done.exit_code == 0, done.output
    assert done.output.index("[2/4] hdpo seed 1: starting as a Ray job") < done.output.index(
        "[1/4] grpo seed 1: step 4/4"
    )
    assert starts(tmp_path) == {f"{name}/seed{seed}": 1 for name in ("grpo", "hdpo") for seed in (1, 2)}
    facts = json.loads((tmp_path / "out/runs/hdpo/seed2/done.json").read_text())
    assert facts["seconds"] > 0 and not facts["resumed"]
    assert "4 of 4 runs." in (tmp_path / "out" / "report.html").read_text()


def test_jobs_outlive_the_command_and_are_followed_by_the_next(run_compare, run_here, tmp_path, monkeypatch):
    arguments = ["--algos", "grpo", "--seeds", "2", "--", "fake.waits=1"]
    two = ["--at-once", "2", *arguments]

    def interrupt(seconds):
        if starts(tmp_path) == {"grpo/seed1": 1, "grpo/seed2": 1}:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("verl_hdpo.cli.comparison_runs.time.sleep", interrupt)
        left = run_compare(*two)
    assert left.exit_code == 1
    assert "2 Ray jobs go on" in left.output
    here = run_here(*arguments)
    assert here.exit_code == 1 and "was submitted as the Ray job verl-hdpo-" in here.output
    (tmp_path / "go_on").touch()
    done = run_compare(*two)
    assert done.exit_code == 0, done.output
    assert done.output.count("its job goes on") == 2
    assert starts(tmp_path) == {"grpo/seed1": 1, "grpo/seed2": 1}
    again = run_compare(*arguments)
    assert "2 runs, 2 of them finished" in again.output


def test_a_job_that_fails_is_run_again_by_the_next(run_compare, tmp_path):
    arguments = ["--algos", "grpo,hdpo", "--seeds", "1", "--", "a.b=1"]
    done = run_compare(*arguments, "fake.stop=hdpo1@2")
    assert done.exit_code == 1
    assert "stopped" in done.output and "hdpo seed 1 failed with exit code 1" in done.output
    assert "1 of 2 runs failed: hdpo seed 1" in done.output
    checkpoints = tmp_path / "out/runs/hdpo/seed1/checkpoints"
    checkpoints.mkdir()
    (checkpoints / "latest_checkpointed_iteration.txt").write_text("2")
    again = run_compare(*arguments, "fake.stop=hdpo1@2")
    assert again.exit_code == 0, again.output
    assert "hdpo seed 1: going on from its checkpoint as a Ray job" in again.output
    assert json.loads((tmp_path / "out/runs/hdpo/seed1/done.json").read_text())["resumed"]


def test_a_job_that_went_with_its_cluster_is_run_again(run_compare, tmp_path, monkeypatch):
    def lost(self, run, resumed, cpu):
        (run.folder / "ray_job.json").write_text(json.dumps({"submission_id": "gone", "resumed": False}))

    arguments = ["--algos", "grpo", "--seeds", "1", "--", "a.b=1"]
    with monkeypatch.context() as patch:
        patch.setattr(ray_jobs.RayJobs, "submit", lost)
        halted = run_compare(*arguments)
    assert halted.exit_code == 1
    assert "the cluster does not know its job any more" in halted.output
    assert run_compare(*arguments).exit_code == 0
    assert starts(tmp_path) == {"grpo/seed1": 1}


def test_a_job_that_cannot_start_says_why(run_compare, monkeypatch):
    monkeypatch.setattr(training_run, "LAUNCHER", "fake_trainer; no_such_module")
    halted = run_compare("--algos", "grpo", "--seeds", "1", "--", "a.b=1")
    assert halted.exit_code == 1
    assert "No module named" in halted.output and "the first run to end failed" in halted.output


def test_an_address_where_no_cluster_answers(tmp_path, monkeypatch):
    command = trainer_that_logs.command(tmp_path, monkeypatch)
    address = f"http://127.0.0.1:{free_port()}"
    done = command("--ray-jobs", address, "--algos", "grpo", "--", "a.b=1")
    assert done.exit_code == 1
    assert f"--ray-jobs {address}" in done.output and "http://HEAD:8265" in done.output


def test_a_dashboard_that_is_gone_for_good_is_given_up(monkeypatch):
    monkeypatch.setattr(ray_jobs, "PATIENCE", 0)

    def refuse(job):
        raise requests.ConnectionError("refused")

    with pytest.raises(click.ClickException, match="has not answered for 0 s"):
        ray_jobs._patiently(refuse, "job")
