"""The runs of a comparison: one after the other on this machine, or as Ray jobs, several at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import click

from verl_hdpo.cli import training_run
from verl_hdpo.cli.ray_jobs import RayJobs, record_of
from verl_hdpo.cli.training_run import Steps, log_of, train
from verl_hdpo.compare.made_with import made_with
from verl_hdpo.compare.plan import PlannedRun
from verl_hdpo.compare.progress import Clock, duration


class Logbook:
    """What becomes of runs: said on screen, noted in their folders, shown in the report.

    Args:
        runs: all of the comparison.
        todo: those that are not finished.
        steps: of each run, if known.
        cpu: whether they train on the CPU.
        report: writes the report anew.
    """

    def __init__(
        self, runs: Sequence[PlannedRun], todo: Sequence[PlannedRun], steps: int | None, cpu: bool, report: Callable
    ):
        self._runs, self._todo, self._steps, self._cpu, self._report = runs, todo, steps, cpu, report
        self._clock = Clock(len(todo), steps)
        self.failed: list[str] = []

    def begin(self, run: PlannedRun, how: str) -> None:
        click.echo(f"{self._place(run)}: {how}. Log: {log_of(run)}")
        self._clock.start(run)

    def step(self, run: PlannedRun, step: int) -> None:
        self._clock.at(run, step)
        of = f"/{self._steps}" if self._steps else ""
        click.echo(f"{self._place(run)}: step {step}{of}, left: {duration(self._clock.left)}")

    def end(self, run: PlannedRun, code: int, seconds: float, resumed: bool, message: str = "") -> None:
        """``run`` has ended with exit code ``code``.

        Raises:
            click.ClickException: it failed before any of the comparison got through, and so would the others.
        """
        self._clock.end(run)
        if code == 0 and not run.metrics_files():
            message, code = f"it logged nothing into {run.folder}; do all nodes have that folder?", 1
        if code == 0:
            facts = {"seconds": round(seconds, 1), "resumed": resumed, "on_cpu": self._cpu, "made_with": made_with()}
            run.finish(facts)
            self._report()
            return
        log = log_of(run)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        click.echo("\n".join([*lines, *filter(None, [message])]), err=True)
        click.echo(f"{run.label} failed with exit code {code}; its log: {log}", err=True)
        if not any(other.state == "finished" for other in self._runs):
            raise click.ClickException("the first run to end failed; no other is started")
        self.failed.append(run.label)

    def _place(self, run: PlannedRun) -> str:
        return f"[{self._todo.index(run) + 1}/{len(self._todo)}] {run.label}"


def one_after_the_other(todo: Sequence[PlannedRun], logbook: Logbook, cpu: bool, stall_timeout: float) -> None:
    """Train here.

    Raises:
        click.ClickException: one of them may be going on as a Ray job.
    """
    for run in todo:
        if record := record_of(run):
            raise click.ClickException(
                f"{run.label} was submitted as the Ray job {record['submission_id']} and may be going on; give "
                f"--ray-jobs again, or stop the job and remove {run.folder}"
            )
    for run in todo:
        resumed = run.prepare()
        logbook.begin(run, _how(resumed))
        began = time.monotonic()
        code = train(run, cpu, stall_timeout, lambda step, run=run: logbook.step(run, step))
        logbook.end(run, code, time.monotonic() - began, resumed)


def as_ray_jobs(todo: Sequence[PlannedRun], logbook: Logbook, cpu: bool, jobs: RayJobs, at_once: int) -> None:
    """At most ``at_once`` at a time; jobs that an earlier call left going are followed to their end.

    Raises:
        click.Abort: on Ctrl-C; the jobs go on.
    """
    left_going = {run: jobs.goes_on(run) for run in todo}
    waiting, going = deque(sorted(todo, key=lambda run: not left_going[run])), {}
    try:
        while waiting or going:
            while waiting and len(going) < at_once:
                run = waiting.popleft()
                if left_going[run]:
                    logbook.begin(run, "its job goes on")
                else:
                    resumed = run.prepare()
                    jobs.submit(run, resumed, cpu)
                    logbook.begin(run, f"{_how(resumed)} as a Ray job")
                going[run] = Steps(run, lambda step, run=run: logbook.step(run, step))
            time.sleep(training_run.POLL_SECONDS)
            for run, steps in list(going.items()):
                ended = jobs.ended(run)
                steps.tell()
                if ended is not None:
                    del going[run]
                    message = jobs.message(run) if ended.code else ""
                    logbook.end(run, ended.code, ended.seconds, ended.resumed, message)
    except KeyboardInterrupt:
        click.echo(f"{len(going)} Ray jobs go on; the same command follows them again, `ray job stop` ends them")
        raise click.Abort from None


def _how(resumed: bool) -> str:
    return "going on from its checkpoint" if resumed else "starting"
