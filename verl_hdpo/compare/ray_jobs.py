"""Training runs of a comparison as Ray jobs: on a cluster that is up, and beyond the end of this process."""

from __future__ import annotations

import json
import shlex
import sys
import time
import uuid
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click
import tenacity

from verl_hdpo.compare import training_run
from verl_hdpo.compare.plan import METRICS, PlannedRun, write_json
from verl_hdpo.compare.ray_job_entry import ENDED
from verl_hdpo.compare.training_run import LOGGER_PATH
from verl_hdpo.runs.quoted import quoted

if TYPE_CHECKING:
    from ray.dashboard.modules.job.pydantic_models import JobDetails
    from ray.job_submission import JobSubmissionClient

PATIENCE = 600
"""Seconds for which the dashboard may not answer."""
RECORD = "ray_job.json"
T = TypeVar("T")


class Ended(NamedTuple):
    """How a job ended: ``code`` is 0 if it succeeded; ``made_with`` is None if it did not come to its end."""

    code: int
    seconds: float
    made_with: dict[str, str] | None


class Record(NamedTuple):
    """The last job of a run: Ray's id, the dashboard, whether it began at a checkpoint, when (Unix seconds)."""

    submission_id: str
    address: str
    resumed: bool
    submitted: float


def record_of(run: PlannedRun) -> Record | None:
    """The last job of ``run``; None if it never had one."""
    path = run.folder / RECORD
    return Record(**json.loads(path.read_text())) if path.exists() else None


class RayJobs:
    """The jobs of runs on the cluster whose dashboard is at ``address``; which is a run's is kept in its folder.

    All nodes must have that folder and the working directory, as verl's checkpoints need.

    The cluster is asked for what the folders do not say: it may be gone if all jobs have got through.

    Raises:
        click.ClickException: no cluster answers, at first or later for ``PATIENCE``, or it refuses.
    """

    def __init__(self, address: str):
        self._address = address

    @cached_property
    def _client(self) -> JobSubmissionClient:
        from ray.exceptions import RayError
        from ray.job_submission import JobSubmissionClient

        try:
            client = JobSubmissionClient(self._address)
            client.list_jobs()
            return client
        except (RayError, OSError, RuntimeError, ValueError) as error:
            raise click.ClickException(
                f"--ray-jobs {self._address}: {error}\nGive the address of a cluster's dashboard, as http://HEAD:8265"
            ) from None

    def submit(self, run: PlannedRun, resumed: bool) -> None:
        """Have verl do ``run`` in a job that starts in this working directory."""
        options = [f"hydra.run.dir={quoted(run.hydra_dir)}"]
        environment = {LOGGER_PATH: str(run.folder / METRICS)}
        if run.cpu:
            from verl_hdpo.runs.cpu_settings import ENVIRONMENT, cpu_overrides

            environment |= ENVIRONMENT
            options += [override for override in cpu_overrides() if "ray_init" not in override]  # Ray is up
        entry = [sys.executable, "-m", "verl_hdpo.compare.ray_job_entry", str(run.folder)]
        command = [*entry, sys.executable, "-m", training_run.LAUNCHER, *options, *run.attempt]
        job = f"verl-hdpo-{uuid.uuid4().hex[:12]}"
        (run.folder / ENDED).unlink(missing_ok=True)
        # Before it is submitted: what is not on record would be submitted a second time.
        write_json(run.folder / RECORD, Record(job, self._address, resumed, time.time())._asdict())

        def submit() -> None:
            try:
                self._client.submit_job(
                    entrypoint=f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(command)}",
                    submission_id=job,
                    runtime_env={"env_vars": environment},
                )
            except RuntimeError as error:
                if "already exists" not in str(error):  # an earlier try got through, and its answer did not
                    raise

        _patiently(submit)

    def goes_on(self, run: PlannedRun) -> bool:
        """Whether ``run`` has a job that goes on or got through, so that it is not to be submitted again.

        Raises:
            click.ClickException: that may be so on another cluster.
        """
        if (record := record_of(run)) is None:
            return False
        if (ended := self.ended(run)) is None:
            return True
        if ended.made_with is None and record.address != self._address and self._info(record) is None:
            raise click.ClickException(
                f"{run.label} was submitted as the Ray job {record.submission_id} and may be going on at "
                f"{record.address}, while --ray-jobs is {self._address}; if it has ended, remove {run.folder / RECORD}"
            )
        return ended.code == 0 and bool(run.metrics_files())

    def ended(self, run: PlannedRun) -> Ended | None:
        """How the job of ``run`` ended; None while it goes on."""
        if (told := _told(run)) is not None:
            return told
        info = self._info(record_of(run))
        if info is not None and not info.status.is_terminal():
            return None
        return _told(run) or Ended(1, 0.0, None)  # it may have ended while the cluster was asked

    def message(self, run: PlannedRun) -> str:
        """What Ray says of the job of ``run``, and what it printed before its log was open."""
        record = record_of(run)
        if (info := self._info(record)) is None:
            return f"the cluster does not know its job {record.submission_id} any more"
        try:
            printed = self._client.get_job_logs(record.submission_id)
        except (OSError, RuntimeError) as error:
            printed = f"its output is lost: {error}\n"
        return f"{printed}Ray job {record.submission_id}, {info.status.value}: {info.message}"

    def _info(self, record: Record) -> JobDetails | None:
        """What the cluster knows of a job; None: nothing."""
        try:
            return _patiently(lambda: self._client.get_job_info(record.submission_id))
        except RuntimeError as error:
            if not _is_unknown(error):
                raise
            return None


def _told(run: PlannedRun) -> Ended | None:
    """What the job itself left behind."""
    file = run.folder / ENDED
    return Ended(**json.loads(file.read_text())) if file.exists() else None


def _is_unknown(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "does not exist" in str(error)


def _patiently(ask: Callable[[], T]) -> T:
    """What the dashboard answers, over the minutes that a busy one takes or a restarted one is away.

    Raises:
        RuntimeError: it does not know the job.
        click.ClickException: it did not answer, or refuses.
    """
    from ray.exceptions import RayError

    tries = tenacity.Retrying(  # requests' errors are OSErrors; any answer but 200 is a RuntimeError
        retry=tenacity.retry_if_exception(
            lambda error: isinstance(error, OSError | RuntimeError) and not _is_unknown(error)
        ),
        wait=tenacity.wait_exponential(multiplier=1, max=30),
        stop=tenacity.stop_after_delay(PATIENCE),
        reraise=True,
    )
    try:
        return tries(ask)
    except (OSError, RuntimeError, RayError) as error:
        if _is_unknown(error):
            raise
        raise click.ClickException(
            f"no answer from the cluster's dashboard for {PATIENCE} s: {error}\n"
            f"Its jobs go on; the same command follows them again"
        ) from None
