"""``verl-hdpo doctor``: look at an environment, and at a run's config, before any GPU is taken."""

from __future__ import annotations

import platform
import sys

import click

from verl_hdpo import __version__
from verl_hdpo.doctor.environment import packages, plugin_policy
from verl_hdpo.runs.finding import Finding, report, verdict
from verl_hdpo.runs.verl_command import VerlCommand, VerlConfig, probe, verl_options


@click.command(cls=VerlCommand, short_help="Check this environment, and a run's config.")
@verl_options
def doctor(config: VerlConfig, overrides: tuple[str, ...]) -> None:
    """Check this environment, and a run's config, before any GPU is taken.

    Without OVERRIDES: versions, the plugin's registrations in a fresh process, the device. With the OVERRIDES of a
    run, it is also composed and validated as verl does it, and its data, model, tool and reward files are looked at:

    \b
        verl-hdpo doctor
        verl-hdpo doctor -- algorithm.adv_estimator=hdpo +algorithm.hdpo.w_tool=0.1 data.train_files=train.parquet ...
        verl-hdpo doctor -- --config-name=ppo_megatron_trainer algorithm.adv_estimator=hdpo ...

    Exit status: 0 if a run can start, 1 if something is in its way.
    """
    runs = {"": overrides} if overrides or not config.is_default else {}
    click.echo(f"verl-hdpo {__version__}, Python {platform.python_version()}, {sys.executable}")
    findings = _in_order([*packages(), *plugin_policy(), *probe(config, runs)])
    for line in report(findings):
        click.echo(line)
    click.echo(f"\n{verdict(findings)}")
    sys.exit(any(finding.mark == "FAIL" for finding in findings))


def _in_order(findings: list[Finding]) -> list[Finding]:
    """Those of one section together, sections in order of first appearance."""
    sections = list(dict.fromkeys(finding.section for finding in findings))
    return sorted(findings, key=lambda finding: sections.index(finding.section))
