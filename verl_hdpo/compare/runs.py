"""The runs of a comparison: one after the other on this machine, or as Ray jobs, several at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.progress import TaskID

from verl_hdpo.compare import training_run
from verl_hdpo.compare.made_with import made_with
from verl_hdpo.compare.plan import PlannedRun
from verl_hdpo.compare.progress import Clock, duration
from verl_hdpo.compare.ray_jobs import SUBMITTED, RayJobs, submission_of, was_submitted
from verl_hdpo.compare.training_run import Steps, train
from verl_hdpo.runs.child_process import log_tail
from verl_hdpo.runs.terminal import progress_bars, say


class Logbook:
    """What becomes of runs: said on screen, noted in their folders, shown in the report.

    Args:
        runs: all of the comparison.
        todo: those that are not finished.
        steps: of each run, if known.
        report: writes the report anew, and returns its path.
    """

    def __init__(
        self, runs: Sequence[PlannedRun], todo: Sequence[PlannedRun], steps: int | None, report: Callable[[], Path]
    ):
        self._runs, self._todo, self._steps, self.report = runs, todo, steps, report
        self._clock = Clock(len(todo), steps)
        self._bars, self._bar = progress_bars(), dict[PlannedRun, TaskID]()
        self.failed: list[str] = []

    def __enter__(self) -> Logbook:
        self._bars.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._bars.stop()

    def begin(self, run: PlannedRun, how: str, ago: float = 0.0) -> None:
        say(f"{self._place(run)}: {how}. Log: {run.log}", err=True)
        self._bar[run] = self._bars.add_task(run.label, total=self._steps)
        self._clock.start(run, ago)

    def step(self, run: PlannedRun, step: int) -> None:
        self._clock.at(run, step)
        left = f"left: {duration(self._clock.left)}"
        self._bars.update(self._bar[run], completed=step, description=f"{self._place(run)}, {left}")
        if self._bars.disable:
            of = f"/{self._steps}" if self._steps else ""
            say(f"{self._place(run)}: step {step}{of}, {left}", err=True)

    def end(self, run: PlannedRun, code: int, facts: Mapping[str, Any], message: str = "") -> None:
        """``run`` has ended with exit code ``code``; ``facts`` are its ``seconds`` and what else to note of it.

        Raises:
            click.ClickException: it failed before any of the comparison got through, and so would the others.
        """
        self._clock.end(run, facts["seconds"])
        self._bars.remove_task(self._bar.pop(run))
        if code == 0 and not run.metrics_files():
            message, code = f"it logged nothing into {run.folder}; do all nodes have that folder?", 1
        if code == 0:
            run.finish({**facts, "seconds": round(facts["seconds"], 1)})
            self.report()
            return
        tail = log_tail(run.log, 15) if run.log.exists() else ""
        say("\n".join(filter(None, [tail, message])), err=True)
        say(f"{run.label} failed with exit code {code}; its log: {run.log}", "red", err=True)
        if not any(other.state == "finished" for other in self._runs):
            raise click.ClickException("the first run to end failed; no other is started")
        self.failed.append(run.label)

    def _place(self, run: PlannedRun) -> str:
        return f"[{self._todo.index(run) + 1}/{len(self._todo)}] {run.label}"


def one_after_the_other(todo: Sequence[PlannedRun], logbook: Logbook, stall_timeout: float) -> None:
    """Train here.

    Raises:
        click.ClickException: one of them may be going on as a Ray job.
    """
    for run in todo:
        if was_submitted(run):
            last = submission_of(run)
            raise click.ClickException(
                f"{run.label} was submitted as the Ray job {last.submission_id} and may be going on; give --ray-jobs "
                f"{last.address} again or, if it has ended, remove {run.folder / SUBMITTED}"
            )
    for run in todo:
        resumed = run.prepare()
        logbook.begin(run, _how(resumed))
        began = time.monotonic()
        code = train(run, stall_timeout, partial(logbook.step, run))
        facts = {"seconds": time.monotonic() - began, "resumed": resumed, "made_with": made_with()}
        logbook.end(run, code, facts)


def as_ray_jobs(todo: Sequence[PlannedRun], logbook: Logbook, jobs: RayJobs, at_once: int) -> None:
    """At most ``at_once`` at a time; jobs that an earlier call left going are followed to their end.

    Where that does not end well, it says which jobs are left to go on.
    """
    left_going = {run: jobs.goes_on(run) for run in todo}
    waiting = deque(sorted(todo, key=lambda run: not left_going[run]))
    going: dict[PlannedRun, Steps] = {}
    try:
        while waiting or going:
            while waiting and len(going) < at_once:
                run = waiting.popleft()
                resumed = not left_going[run] and run.prepare()
                going[run] = Steps(run, partial(logbook.step, run))
                if not left_going[run]:
                    jobs.submit(run, resumed)
                last = submission_of(run)
                how = "its job goes on" if left_going[run] else _how(resumed)
                logbook.begin(run, f"{how}, Ray job {last.submission_id}", time.time() - last.submitted)
            time.sleep(training_run.POLL_SECONDS)
            for run, steps in list(going.items()):
                ended = jobs.ended(run)
                steps.tell()
                if ended is not None:
                    del going[run]
                    message = jobs.message(run) if ended.code else ""
                    facts = {
                        "resumed": submission_of(run).resumed,
                        "seconds": ended.seconds,
                        "made_with": ended.made_with,
                    }
                    logbook.end(run, ended.code, facts, message)
    finally:
        for run in [*going, *(run for run in waiting if left_going[run])]:
            if was_submitted(run):
                job = submission_of(run).submission_id
                say(f"{run.label} may go on; `ray job stop {job}` ends it", err=True)


def _how(resumed: bool) -> str:
    return "going on from its checkpoint" if resumed else "starting"
