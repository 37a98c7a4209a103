"""Training runs of a comparison as Ray jobs: on a cluster that is up, and beyond the end of this process."""

from __future__ import annotations

import json
import shlex
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import tenacity

from verl_hdpo.cli import training_run
from verl_hdpo.cli.training_run import LOGGER_PATH, log_of
from verl_hdpo.compare.plan import METRICS, PlannedRun

if TYPE_CHECKING:
    from ray.dashboard.modules.job.pydantic_models import JobDetails

PATIENCE = 600
"""Seconds for which the dashboard may not answer."""
_RECORD = "ray_job.json"
T = TypeVar("T")


class Ended(NamedTuple):
    """How a job ended: ``code`` is 0 if it succeeded."""

    code: int
    seconds: float
    resumed: bool


class RayJobs:
    """The jobs of runs on the cluster whose dashboard is at ``address``; which is a run's is kept in its folder.

    All nodes must have that folder and the working directory, as verl's checkpoints need.

    Raises:
        click.ClickException: no cluster answers, here or later for ``PATIENCE``.
    """

    def __init__(self, address: str):
        from ray.exceptions import AuthenticationError
        from ray.job_submission import JobSubmissionClient

        try:
            self._client = JobSubmissionClient(address)
            self._client.list_jobs()
        except (AuthenticationError, OSError, RuntimeError, ValueError) as error:
            raise click.ClickException(
                f"--ray-jobs {address}: {error}\nGive the address of a cluster's dashboard, as http://HEAD:8265"
            ) from None

    def submit(self, run: PlannedRun, resumed: bool, cpu: bool) -> None:
        """Have verl do ``run``, from here as the working directory, with all its output in ``log_of(run)``."""
        options, environment = [f"hydra.run.dir={run.folder / 'hydra'}"], {LOGGER_PATH: str(run.folder / METRICS)}
        if cpu:
            from verl_hdpo.cpu.settings import ENVIRONMENT, cpu_overrides

            environment |= ENVIRONMENT
            options += [override for override in cpu_overrides() if "ray_init" not in override]  # Ray is up
        command = shlex.join([sys.executable, "-m", training_run.LAUNCHER, *options, *run.arguments])
        where, log = shlex.quote(str(Path.cwd())), shlex.quote(str(log_of(run)))
        job = f"verl-hdpo-{uuid.uuid4().hex[:12]}"
        # Before it is submitted: what is not on record would be submitted a second time.
        (run.folder / _RECORD).write_text(json.dumps({"submission_id": job, "resumed": resumed}))
        self._client.submit_job(
            entrypoint=f"cd {where} && exec {command} >> {log} 2>&1",
            submission_id=job,
            runtime_env={"env_vars": environment},
        )

    def goes_on(self, run: PlannedRun) -> bool:
        """Whether ``run`` has a job that goes on or got through, so that it is not to be submitted again."""
        info = self._info(run)
        if info is None or not info.status.is_terminal():
            return info is not None
        return info.status.value == "SUCCEEDED" and bool(run.metrics_files())

    def ended(self, run: PlannedRun) -> Ended | None:
        """How the job of ``run`` ended; None while it goes on."""
        resumed, info = record_of(run)["resumed"], self._info(run)
        if info is None:  # gone with its cluster
            return Ended(1, 0.0, resumed)
        if not info.status.is_terminal():
            return None
        code = 0 if info.status.value == "SUCCEEDED" else info.driver_exit_code or 1
        milliseconds = info.end_time - info.start_time if info.start_time and info.end_time else 0
        return Ended(code, milliseconds / 1000, resumed)

    def message(self, run: PlannedRun) -> str:
        """What Ray says of the job, and what it printed before its log was open."""
        info = self._info(run)
        if info is None:
            return "the cluster does not know its job any more"
        return f"{_patiently(self._client.get_job_logs, info.submission_id)}{info.message or ''}"

    def _info(self, run: PlannedRun) -> JobDetails | None:
        record = record_of(run)
        if not record:
            return None
        try:
            return _patiently(self._client.get_job_info, record["submission_id"])
        except RuntimeError as error:
            if "does not exist" in str(error):
                return None
            raise


def record_of(run: PlannedRun) -> dict[str, Any]:
    """``submission_id`` of the last job of ``run``, and whether it ``resumed``; empty if it never had one."""
    record = run.folder / _RECORD
    return json.loads(record.read_text()) if record.exists() else {}


def _patiently(ask: Callable[[str], T], job: str) -> T:
    """What the dashboard answers, over the minutes that a busy one takes or a restarted one is away.

    Raises:
        click.ClickException: it did not answer.
    """
    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(OSError),
        wait=tenacity.wait_exponential(multiplier=1, max=30),
        stop=tenacity.stop_after_delay(PATIENCE),
        reraise=True,
    )
    try:
        return tries(ask, job)
    except OSError as error:  # of which requests' own are
        raise click.ClickException(
            f"the cluster's dashboard has not answered for {PATIENCE} s: {error}\nIts jobs may go on; the same command "
            f"follows them again"
        ) from None
