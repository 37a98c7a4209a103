"""``check_configs``: whether each run of a comparison can start, before the first one does."""

from __future__ import annotations

from collections.abc import Sequence

import click

from verl_hdpo.compare.plan import SEED_PLACE, PlannedRun
from verl_hdpo.runs.cpu_settings import cpu_overrides
from verl_hdpo.runs.finding import Finding, print_findings
from verl_hdpo.runs.probe import probe
from verl_hdpo.runs.terminal import doing, say
from verl_hdpo.runs.verl_command import STEPS, VerlConfig


def check_configs(config: VerlConfig, runs: Sequence[PlannedRun], overrides: Sequence[str], cpu: bool) -> int | None:
    """Compose and validate each config that differs in more than the seed; returns the steps of a run, if set.

    Raises:
        click.ClickException: a run that cannot start.
    """
    by_seed = any(SEED_PLACE in override for override in overrides)
    base, options = cpu_overrides() if cpu else [], len(config.arguments)
    different = {
        run.label: [*base, *run.arguments[: len(run.arguments) - options]]
        for run in runs
        if run.seed == runs[0].seed or (by_seed and run.variant == runs[0].variant)
    }
    say(f"Checking {len(different)} configs ...", err=True)
    with doing("checking") as look_at:
        findings = list(probe(config, different, look_at))
    bad = [finding for finding in findings if finding.mark != "ok"]
    print_findings(_once(bad), err=True)
    if any(finding.mark == "FAIL" for finding in bad):
        raise click.ClickException("nothing was started: see above")
    steps = {finding.found for finding in findings if finding.subject == STEPS}
    return int(steps.pop()) if len(steps) == 1 else None


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """What is said of several runs alike, said for the first."""
    first: dict[tuple, Finding] = {}
    for finding in findings:
        first.setdefault((finding.mark, finding.subject, finding.found), finding)
    return list(first.values())
