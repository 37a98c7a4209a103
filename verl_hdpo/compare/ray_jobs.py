"""Training runs of a comparison as Ray jobs: on a cluster that is up, and beyond the end of this process."""

from __future__ import annotations

import json
import shlex
import sys
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import click

from verl_hdpo.compare import training_run
from verl_hdpo.compare.dashboard import Dashboard
from verl_hdpo.compare.plan import METRICS, PlannedRun, write_json
from verl_hdpo.compare.ray_job_entry import ENDED
from verl_hdpo.compare.training_run import LOGGER_PATH
from verl_hdpo.runs.cpu_settings import ENVIRONMENT, cpu_overrides
from verl_hdpo.runs.quoted import quoted

SUBMITTED = "ray_job.json"
"""File in a run's folder that holds its :class:`Submission`."""


class Ended(NamedTuple):
    """How a job ended: ``code`` is 0 if it succeeded; ``made_with`` is None if it did not come to its end."""

    code: int
    seconds: float
    made_with: dict[str, str] | None


class Submission(NamedTuple):
    """The last job of a run: Ray's id, the dashboard, whether it began at a checkpoint, when (Unix seconds)."""

    submission_id: str
    address: str
    resumed: bool
    submitted: float


def was_submitted(run: PlannedRun) -> bool:
    return (run.folder / SUBMITTED).exists()


def submission_of(run: PlannedRun) -> Submission:
    """The last job of ``run``, which :func:`was_submitted`."""
    return Submission(**json.loads((run.folder / SUBMITTED).read_text()))


class RayJobs:
    """The jobs of runs on a cluster; which is a run's is kept in its folder.

    All nodes must have that folder and the working directory, as verl's checkpoints need.

    The cluster is asked for what the folders do not say: it may be gone if all jobs have got through.
    """

    def __init__(self, dashboard: Dashboard):
        self._dashboard = dashboard

    def submit(self, run: PlannedRun, resumed: bool) -> None:
        """Have verl do ``run`` in a job that starts in this working directory."""
        options = [f"hydra.run.dir={quoted(run.hydra_dir)}"]
        environment = {LOGGER_PATH: str(run.folder / METRICS)}
        if run.cpu:
            environment |= ENVIRONMENT
            options += [override for override in cpu_overrides() if "ray_init" not in override]  # Ray is up
        entry = [sys.executable, "-m", "verl_hdpo.compare.ray_job_entry", str(run.folder)]
        command = [*entry, sys.executable, "-m", training_run.LAUNCHER, *options, *run.attempt]
        job = f"verl-hdpo-{uuid.uuid4().hex[:12]}"
        (run.folder / ENDED).unlink(missing_ok=True)
        # Before it is submitted: what is not noted would be submitted a second time.
        write_json(run.folder / SUBMITTED, Submission(job, self._dashboard.address, resumed, time.time())._asdict())
        self._dashboard.submit(job, f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(command)}", environment)

    def goes_on(self, run: PlannedRun) -> bool:
        """Whether ``run`` has a job that goes on or got through, so that it is not to be submitted again.

        Raises:
            click.ClickException: that may be so on another cluster.
        """
        if not was_submitted(run):
            return False
        if (ended := self.ended(run)) is None:
            return True
        last, address = submission_of(run), self._dashboard.address
        if ended.made_with is None and last.address != address and self._dashboard.info(last.submission_id) is None:
            raise click.ClickException(
                f"{run.label} was submitted as the Ray job {last.submission_id} and may be going on at "
                f"{last.address}, while --ray-jobs is {address}; if it has ended, remove {run.folder / SUBMITTED}"
            )
        return ended.code == 0 and bool(run.metrics_files())

    def ended(self, run: PlannedRun) -> Ended | None:
        """How the job of ``run`` ended; None while it goes on."""
        if (told := _told(run)) is not None:
            return told
        info = self._dashboard.info(submission_of(run).submission_id)
        if info is not None and not info.status.is_terminal():
            return None
        return _told(run) or Ended(1, 0.0, None)  # it may have ended while the cluster was asked

    def message(self, run: PlannedRun) -> str:
        """What Ray says of the job of ``run``, and what it printed before its log was open."""
        job = submission_of(run).submission_id
        if (info := self._dashboard.info(job)) is None:
            return f"the cluster does not know its job {job} any more"
        return f"{self._dashboard.printed(job)}Ray job {job}, {info.status.value}: {info.message}"


def _told(run: PlannedRun) -> Ended | None:
    """What the job itself left behind."""
    file = run.folder / ENDED
    return Ended(**json.loads(file.read_text())) if file.exists() else None
