"""``Comparison``: several algorithms on one pipeline, from the plan to the report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import click
from filelock import FileLock, Timeout

from verl_hdpo.compare.config_check import check_configs
from verl_hdpo.compare.dashboard import Dashboard
from verl_hdpo.compare.plan import PlannedRun, plan
from verl_hdpo.compare.ray_jobs import RayJobs
from verl_hdpo.compare.report import logged, print_summary, summary, write_report
from verl_hdpo.compare.runs import Logbook, as_ray_jobs, one_after_the_other
from verl_hdpo.compare.variant import Variant, VariantError, parse_variants
from verl_hdpo.evaluation.logged import log_report
from verl_hdpo.runs.fingerprint import of_inputs
from verl_hdpo.runs.terminal import say, show_json
from verl_hdpo.runs.verl_command import LAUNCHER, VerlConfig


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What ``verl-hdpo compare`` is asked for.

    Attributes: the command's options, as its ``--help`` explains them.
    """

    algos: str
    seeds: Sequence[int]
    out: Path
    title: str
    cpu: bool
    stall_timeout: float
    ray_jobs: str | None
    at_once: int
    dry_run: bool
    as_json: bool
    log_to: Sequence[str]
    config: VerlConfig
    overrides: Sequence[str]

    def run(self) -> None:
        """Do it, or go on with it.

        Raises:
            click.ClickException: an option that cannot be, a config that fails, a run that failed.
            PlanError: runs that cannot be made or gone on with, or a file that they depend on was changed meanwhile.
        """
        if self.at_once > 1 and not self.ray_jobs:
            raise click.UsageError("--at-once needs --ray-jobs: on one machine runs would take each other's devices")
        variants, out = self._variants(), self.out.resolve()
        notes = [
            f"{variant.alias} is run as {variant.algorithm}: verl's own {variant.alias} cannot run on its V1 trainer."
            for variant in variants
            if variant.alias
        ]
        for note in notes:
            say(note, err=True)
        with nullcontext() if self.dry_run else _alone_in(out):
            runs = plan(variants, self.seeds, self.overrides, self.config.arguments, out, self.cpu)
            todo = [run for run in runs if run.state != "finished"]
            if self.ray_jobs:
                _refuse_relative_paths(runs)
            jobs = RayJobs(Dashboard(self.ray_jobs)) if self.ray_jobs and not self.dry_run else None
            steps = check_configs(self.config, runs, self.overrides, self.cpu)
            say(f"{len(runs)} runs, {len(runs) - len(todo)} of them finished; {out}", err=True)
            if self.dry_run:
                self._print_commands(todo)
            else:
                self._train(
                    runs, todo, jobs, Logbook(runs, todo, steps, lambda: write_report(runs, out, self.title, notes))
                )

    def _variants(self) -> list[Variant]:
        try:
            return parse_variants(self.algos)
        except VariantError as error:
            raise click.UsageError(f"--algos: {error}") from None

    def _train(
        self, runs: Sequence[PlannedRun], todo: Sequence[PlannedRun], jobs: RayJobs | None, logbook: Logbook
    ) -> None:
        with logbook:
            if jobs:
                as_ray_jobs(todo, logbook, jobs, self.at_once)
            else:
                one_after_the_other(todo, logbook, self.stall_timeout)
        failed = logbook.failed
        if len(failed) < len(todo) or not todo:
            report = logbook.report()
            if self.as_json:
                show_json({"runs": len(runs), "failed": failed, "report": report, "summary": summary(runs)})
            else:
                print_summary(runs)
                say(f"Report: {report}")
            log_report(self.log_to, "compare", report.parent.name, logged(runs, report.parent))
        if failed:
            raise click.ClickException(
                f"{len(failed)} of {len(todo)} runs failed: {', '.join(failed)}; the same command runs them again"
            )

    def _print_commands(self, runs: Sequence[PlannedRun]) -> None:
        commands = [["python", "-m", LAUNCHER, *run.arguments] for run in runs]
        if self.as_json:
            rows = zip(runs, commands, strict=True)
            show_json([{"label": run.label, "state": run.state, "command": command} for run, command in rows])
            return
        if self.cpu:
            say("With `cpu: true`, do not paste these commands: compare adds CPU settings.")
        for run, command in zip(runs, commands, strict=True):
            say(f"\n# {run.label} ({run.state})")
            say(shlex.join(command))


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """While this lasts no other comparison works in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / "lock", timeout=0):
            yield
    except Timeout:
        raise click.ClickException(
            f"another verl-hdpo compare is running in {out}; give another --out, or stop it"
        ) from None


def _refuse_relative_paths(runs: Sequence[PlannedRun]) -> None:
    """verl reads files in Ray workers, and those of a cluster start in the folder where ``ray start`` was called."""
    named = {name for run in runs for name in of_inputs(run.arguments)}
    if relative := sorted(name for name in named if not Path(name).is_absolute()):
        raise click.UsageError(
            f"--ray-jobs: the workers of a cluster start in a folder of their own, not in this one; give whole paths "
            f"instead of {', '.join(relative)}"
        )
