"""``Dashboard``: a Ray cluster, asked for jobs by way of its dashboard; the one module here that knows Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import click
import tenacity

if TYPE_CHECKING:
    from ray.dashboard.modules.job.pydantic_models import JobDetails
    from ray.job_submission import JobSubmissionClient

PATIENCE = 600
"""Seconds for which the dashboard may not answer."""
T = TypeVar("T")


class Dashboard:
    """The cluster whose dashboard is at ``address``, asked once there is something to ask.

    Raises:
        click.ClickException: no cluster answers, at first or later for ``PATIENCE``, or it refuses.
    """

    def __init__(self, address: str):
        self.address = address

    @cached_property
    def _client(self) -> JobSubmissionClient:
        from ray.exceptions import RayError
        from ray.job_submission import JobSubmissionClient

        try:
            client = JobSubmissionClient(self.address)
            client.list_jobs()
            return client
        except (RayError, OSError, RuntimeError, ValueError) as error:
            raise click.ClickException(
                f"--ray-jobs {self.address}: {error}\nGive the address of a cluster's dashboard, as http://HEAD:8265"
            ) from None

    def submit(self, job: str, entrypoint: str, environment: Mapping[str, str]) -> None:
        """Have the shell command ``entrypoint`` run as ``job``."""

        def submit() -> None:
            try:
                self._client.submit_job(
                    entrypoint=entrypoint, submission_id=job, runtime_env={"env_vars": dict(environment)}
                )
            except RuntimeError as error:
                if "already exists" not in str(error):  # an earlier try got through, and its answer did not
                    raise

        patiently(submit)

    def info(self, job: str) -> JobDetails | None:
        """What the cluster knows of a job; None: nothing."""
        try:
            return patiently(lambda: self._client.get_job_info(job))
        except RuntimeError as error:
            if not _is_unknown(error):
                raise
            return None

    def printed(self, job: str) -> str:
        """What a job printed."""
        try:
            return self._client.get_job_logs(job)
        except (OSError, RuntimeError) as error:
            return f"its output is lost: {error}\n"


def patiently(ask: Callable[[], T]) -> T:
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


def _is_unknown(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "does not exist" in str(error)
