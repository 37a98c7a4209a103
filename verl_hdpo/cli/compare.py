"""``verl-hdpo compare``: several algorithms on one pipeline, and a report."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from verl_hdpo.runs.finding import Finding, report
from verl_hdpo.runs.fingerprint import of_inputs
from verl_hdpo.runs.verl_command import LAUNCHER, STEPS, VerlCommand, VerlConfig, needs_extra, probe, verl_options


class _Seeds(click.ParamType):
    """``3`` is 1, 2, 3; ``4,7`` is 4 and 7, and ``7,`` is 7 alone."""

    name = "seeds"

    def convert(self, value, param, ctx) -> list[int]:
        if isinstance(value, list):
            return value
        try:
            numbers = [int(part) for part in value.removesuffix(",").split(",")]
        except ValueError:
            self.fail(f"{value!r} is neither a number of seeds nor a list of them", param, ctx)
        if "," not in value:
            numbers = list(range(1, numbers[0] + 1))
        if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
            self.fail(f"{value!r} must be a number >= 1, or different numbers >= 0", param, ctx)
        return numbers


@click.command(cls=VerlCommand, short_help="Train with several algorithms; report how they differ.")
@click.option("--algos", required=True, metavar="LIST", help="Algorithms, with knobs in brackets.")
@click.option("--seeds", type=_Seeds(), default="3", show_default=True, help="How many (3: seeds 1, 2, 3), or a list.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("outputs/compare"),
              show_default=True, help="Folder of runs and report; given again, it goes on.")  # fmt: skip
@click.option("--title", default="Comparison of algorithms", show_default=True, help="Heading of the report.")
@click.option("--cpu", is_flag=True, help="Train on the CPU; as VERL_PLATFORM=cpu.")
@click.option("--stall-timeout", default=900.0, show_default=True, help="CPU: seconds without a step that end a run.")
@click.option("--ray-jobs", metavar="URL", help="Run as Ray jobs, on the cluster with this dashboard.")
@click.option("--at-once", type=click.IntRange(1), default=1, show_default=True, help="Ray jobs that go on at a time.")
@click.option("--dry-run", is_flag=True, help="Check the configs and print the commands.")
@verl_options
def compare(
    algos: str,
    seeds: list[int],
    out: Path,
    title: str,
    cpu: bool,
    stall_timeout: float,
    ray_jobs: str | None,
    at_once: int,
    dry_run: bool,
    config_name: str,
    config_path: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Train with each algorithm and each seed on the pipeline that OVERRIDES describe, and report.

    \b
        verl-hdpo compare --algos grpo,grpo_penalty,gdpo,hdpo --seeds 3 -- data.train_files=... trainer.test_freq=10 ...
        verl-hdpo compare --algos 'hdpo,hdpo[w_tool=0.5],grpo_penalty[a=0.5,gated=true]' --seeds 1,7 -- ...

    Runs differ in algorithm.adv_estimator, in the knobs in brackets (settings of the algorithm, or whole keys with a
    dot) and in the seed, of data order, sampling and mini-batches; {seed} in an override stands for it, and {run} for a
    name of the run's own. All configs are checked before the first run starts. Results: report.html, metrics.csv,
    summary.csv and PNGs in --out.
    """
    if at_once > 1 and not ray_jobs:
        raise click.UsageError("--at-once needs --ray-jobs: on one machine runs would take each other's devices")
    with needs_extra("report"):
        from verl_hdpo.compare import report as _  # noqa: F401
        from verl_hdpo.compare.ray_jobs import RayJobs
        from verl_hdpo.compare.runs import Logbook, as_ray_jobs, one_after_the_other
    from verl_hdpo.compare.plan import PlanError, plan
    from verl_hdpo.compare.variant import VariantError, parse_variants

    config = VerlConfig(config_name, config_path, config_dir)
    out = out.resolve()
    try:
        variants = parse_variants(algos)
    except VariantError as error:
        raise click.UsageError(f"--algos: {error}") from None
    notes = [
        f"{variant.alias} is run as {variant.algorithm}: verl's own {variant.alias} cannot run on its V1 trainer."
        for variant in variants
        if variant.alias
    ]
    for note in notes:
        click.echo(note)

    cpu = cpu or os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"
    with nullcontext() if dry_run else _alone_in(out):
        try:
            runs = plan(variants, seeds, overrides, config.arguments, out, cpu)
            states = {run: run.state for run in runs}
        except PlanError as error:
            raise click.ClickException(str(error)) from None
        if ray_jobs:
            _refuse_relative_paths(runs)
        jobs = RayJobs(ray_jobs) if ray_jobs and not dry_run else None
        steps = _check(config, runs, overrides, cpu)
        todo = [run for run in runs if states[run] != "finished"]
        click.echo(f"{len(runs)} runs, {len(runs) - len(todo)} of them finished; {out}")
        if dry_run:
            if cpu:
                click.echo("On the CPU verl_hdpo.cpu.run.run_verl runs each with the settings that it takes there.")
            for run in todo:
                click.echo(f"\n# {run.label} ({states[run]})")
                click.echo(shlex.join(["python", "-m", LAUNCHER, *run.arguments]))
            return
        logbook = Logbook(runs, todo, steps, report=lambda: _report(runs, out, title, notes))
        try:
            if jobs:
                as_ray_jobs(todo, logbook, jobs, at_once)
            else:
                one_after_the_other(todo, logbook, stall_timeout)
        except PlanError as error:  # a file that the runs depend on was changed meanwhile
            raise click.ClickException(str(error)) from None
        if len(logbook.failed) < len(todo) or not todo:
            click.echo(f"Report: {_report(runs, out, title, notes)}")
    if failed := logbook.failed:
        raise click.ClickException(
            f"{len(failed)} of {len(todo)} runs failed: {', '.join(failed)}; the same command runs them again"
        )


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """While this lasts no other comparison works in ``out``."""
    from filelock import FileLock, Timeout

    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / "lock", timeout=0):
            yield
    except Timeout:
        raise click.ClickException(
            f"another verl-hdpo compare is at work in {out}; give another --out, or end it"
        ) from None


def _check(config: VerlConfig, runs: Sequence, overrides: Sequence[str], cpu: bool) -> int | None:
    """Compose and validate each config that differs in more than the seed; returns the steps of a run, if set.

    Raises:
        click.ClickException: a run that cannot start.
    """
    from verl_hdpo.compare.plan import SEED_PLACE

    by_seed = any(SEED_PLACE in override for override in overrides)
    first = runs[0].seed
    base: list[str] = []
    if cpu:
        from verl_hdpo.cpu.settings import cpu_overrides

        os.environ["VERL_PLATFORM"] = "cpu"
        base = cpu_overrides()
    options = len(config.arguments)
    different = {
        run.label: [*base, *run.arguments[: len(run.arguments) - options]]
        for run in runs
        if run.seed == first or (by_seed and run.variant == runs[0].variant)
    }
    click.echo(f"Checking {len(different)} configs ...")
    findings = list(probe(config, different))
    bad = [finding for finding in findings if finding.mark != "ok"]
    for line in report(_once(bad)):
        click.echo(line)
    if any(finding.mark == "FAIL" for finding in bad):
        raise click.ClickException("nothing was started: see above")
    steps = {finding.found for finding in findings if finding.subject == STEPS}
    return int(steps.pop()) if len(steps) == 1 else None


def _refuse_relative_paths(runs: Sequence) -> None:
    """verl reads files in Ray workers, and those of a cluster start in the folder where ``ray start`` was called."""
    named = {name for run in runs for name in of_inputs(run.arguments)}
    if relative := sorted(name for name in named if not Path(name).is_absolute()):
        raise click.UsageError(
            f"--ray-jobs: the workers of a cluster start in a folder of their own, not in this one; give whole paths "
            f"instead of {', '.join(relative)}"
        )


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """What is said of several runs alike, said for the first."""
    first: dict[tuple, Finding] = {}
    for finding in findings:
        first.setdefault((finding.mark, finding.subject, finding.found), finding)
    return list(first.values())


def _report(runs: Sequence, out: Path, title: str, notes: Sequence[str]) -> Path:
    from verl_hdpo.compare.curves import CurvesError
    from verl_hdpo.compare.report import write_report

    try:
        return write_report(runs, out, title, notes)
    except CurvesError as error:
        raise click.ClickException(str(error)) from None
