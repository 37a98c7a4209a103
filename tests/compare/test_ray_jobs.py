"""``verl-hdpo compare --ray-jobs``: a Ray cluster of its own, with a trainer that only logs."""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import psutil
import pytest
import requests
import trainer_that_logs
from free_port import free_port
from hang import wait_until
from planned_runs import planned
from ray.job_submission import JobSubmissionClient

from verl_hdpo.compare import dashboard, ray_jobs, training_run
from verl_hdpo.compare.dashboard import Dashboard
from verl_hdpo.compare.plan import write_json

pytestmark = pytest.mark.slow


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
    def answers():
        with contextlib.suppress(OSError, RuntimeError):
            return JobSubmissionClient(address).list_jobs() is not None

    wait_until(answers, lambda: process.poll() is None)
    return address


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
    first, second, third = (
        done.output.index(f"[{i}/4] {label}: starting, Ray job")
        for i, label in ((1, "grpo seed 1"), (2, "hdpo seed 1"), (3, "grpo seed 2"))
    )
    an_end = min(
        done.output.index(f"[{i}/4] {label}: step 4/4") for i, label in ((1, "grpo seed 1"), (2, "hdpo seed 1"))
    )
    assert first < second < an_end < third
    assert starts(tmp_path) == {f"{name}/seed{seed}": 1 for name in ("grpo", "hdpo") for seed in (1, 2)}
    facts = json.loads((tmp_path / "out/runs/hdpo/seed2/done.json").read_text())
    assert facts["seconds"] > 0 and not facts["resumed"] and facts["made_with"]["verl-hdpo"]
    assert "4 of 4 runs." in (tmp_path / "out" / "report.html").read_text()


@pytest.fixture
def left_going(run_compare, tmp_path, monkeypatch):
    """The arguments of a comparison that was interrupted with both its jobs going."""
    arguments = ["--algos", "grpo", "--seeds", "2", "--at-once", "2", "--", "fake.waits=1"]
    tell = training_run.Steps.tell

    def interrupted(steps):
        if starts(tmp_path) == {"grpo/seed1": 1, "grpo/seed2": 1}:
            raise KeyboardInterrupt
        tell(steps)

    with monkeypatch.context() as patch:
        patch.setattr(training_run.Steps, "tell", interrupted)
        left = run_compare(*arguments)
    assert left.exit_code == 130
    assert left.output.count("`ray job stop verl-hdpo-") == 2
    return arguments


def wait_for_the_ends(tmp_path):
    (tmp_path / "go_on").touch()
    wait_until(lambda: len(list(tmp_path.rglob(ray_jobs.ENDED))) == 2)


def test_jobs_outlive_the_command_and_are_followed_by_the_next(left_going, run_compare, tmp_path):
    (tmp_path / "go_on").touch()
    done = run_compare(*left_going)
    assert done.exit_code == 0, done.output
    assert done.output.count("its job goes on") == 2
    assert starts(tmp_path) == {"grpo/seed1": 1, "grpo/seed2": 1}
    assert "2 runs, 2 of them finished" in run_compare(*left_going).output


def test_jobs_that_got_through_meanwhile_count_even_if_their_cluster_is_gone(left_going, run_here, tmp_path):
    wait_for_the_ends(tmp_path)
    done = run_here("--ray-jobs", f"http://127.0.0.1:{free_port()}", *left_going)
    assert done.exit_code == 0, done.output
    assert starts(tmp_path) == {"grpo/seed1": 1, "grpo/seed2": 1}


def test_a_run_that_may_go_on_elsewhere_is_not_started_again(left_going, run_here, run_compare, tmp_path, monkeypatch):
    here = run_here(*left_going[:4], *left_going[6:])
    assert here.exit_code == 1 and "was submitted as the Ray job verl-hdpo-" in here.output
    for noted in tmp_path.rglob(ray_jobs.SUBMITTED):
        kept = json.loads(noted.read_text())
        noted.write_text(json.dumps({**kept, "address": "http://other:8265"}))
    with monkeypatch.context() as patch:
        patch.setattr(Dashboard, "info", lambda self, job: None)
        elsewhere = run_compare(*left_going)
    assert elsewhere.exit_code == 1 and "may be going on at http://other:8265" in elsewhere.output
    wait_for_the_ends(tmp_path)
    assert starts(tmp_path) == {"grpo/seed1": 1, "grpo/seed2": 1}


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
    assert "hdpo seed 1: going on from its checkpoint, Ray job" in again.output
    assert json.loads((tmp_path / "out/runs/hdpo/seed1/done.json").read_text())["resumed"]


def test_a_job_that_went_with_its_cluster_is_run_again(run_compare, tmp_path, monkeypatch):
    arguments = ["--algos", "grpo", "--seeds", "1", "--", "a.b=1"]
    with monkeypatch.context() as patch:
        patch.setattr(JobSubmissionClient, "submit_job", lambda self, **job: None)
        halted = run_compare(*arguments)
    assert halted.exit_code == 1
    assert "the cluster does not know its job verl-hdpo-" in halted.output
    assert run_compare(*arguments).exit_code == 0
    assert starts(tmp_path) == {"grpo/seed1": 1}


def test_a_job_that_cannot_start_says_why(run_compare, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setattr(ray_jobs.Path, "cwd", lambda: gone)
    gone.rmdir()
    halted = run_compare("--algos", "grpo", "--seeds", "1", "--", "a.b=1")
    assert halted.exit_code == 1
    assert "can't cd to" in halted.output or "No such file" in halted.output
    assert "FAILED" in halted.output and "the first run to end failed" in halted.output


def test_on_the_cpu(run_compare, tmp_path):
    done = run_compare("--cpu", "--algos", "grpo", "--seeds", "1", "--", "a.b=1")
    assert done.exit_code == 0, done.output
    assert "started on cpu cpu" in (tmp_path / "out/runs/grpo/seed1/train.log").read_text()


def test_an_answer_to_a_submission_that_was_lost(run_compare, tmp_path, monkeypatch):
    submit, tries = JobSubmissionClient.submit_job, []

    def lost(self, **job):
        tries.append(job)
        submit(self, **job)
        raise requests.ConnectionError("reset") if len(tries) == 1 else AssertionError("it exists")

    monkeypatch.setattr(JobSubmissionClient, "submit_job", lost)
    assert run_compare("--algos", "grpo", "--seeds", "1", "--", "a.b=1").exit_code == 0
    assert len(tries) == 2 and starts(tmp_path) == {"grpo/seed1": 1}


def test_a_job_that_ends_while_the_cluster_is_asked(tmp_path, monkeypatch):
    (run,) = planned(tmp_path, algos="grpo", seeds=[1])
    run.prepare()

    def asked(self, job):
        write_json(run.folder / ray_jobs.ENDED, {"code": 0, "seconds": 9.0, "made_with": {}})

    write_json(run.folder / ray_jobs.SUBMITTED, ray_jobs.Submission("a", "b", False, 0.0)._asdict())
    monkeypatch.setattr(Dashboard, "info", asked)
    assert ray_jobs.RayJobs(Dashboard("http://nowhere")).ended(run) == (0, 9.0, {})


def test_files_are_named_by_whole_paths(run_here, tmp_path):
    (tmp_path / "reward.py").touch()
    done = run_here("--ray-jobs", "http://nowhere", "--algos", "grpo", "--", "a.path=reward.py")
    assert done.exit_code == 2
    assert "give whole paths instead of reward.py" in " ".join(done.output.split())


def test_an_address_where_no_cluster_answers(run_here):
    address = f"http://127.0.0.1:{free_port()}"
    done = run_here("--ray-jobs", address, "--algos", "grpo", "--", "a.b=1")
    assert done.exit_code == 1
    assert f"--ray-jobs {address}" in done.output and "http://HEAD:8265" in done.output


@pytest.mark.parametrize("error", [requests.ConnectionError("refused"), RuntimeError("status code 503")])
def test_a_dashboard_that_is_gone_for_good_is_given_up(monkeypatch, error):
    monkeypatch.setattr(dashboard, "PATIENCE", 0)

    def refuse():
        raise error

    with pytest.raises(click.ClickException, match="no answer from the cluster's dashboard for 0 s"):
        dashboard.patiently(refuse)
