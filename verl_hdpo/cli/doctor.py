"""``verl-hdpo doctor``: look at an environment, and at a run's config, before any GPU is taken."""

from __future__ import annotations

import sys

import click

from verl_hdpo.doctor.findings import Report, all_findings
from verl_hdpo.runs.verl_command import VerlCommand, VerlConfig, verl_options


@click.command(cls=VerlCommand, short_help="Check this environment, and a run's config.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON list, and nothing else.")
@verl_options
def doctor(as_json: bool, config: VerlConfig, overrides: tuple[str, ...]) -> None:
    """Check this environment, and a run's config, before any GPU is taken.

    Without OVERRIDES: versions, the plugin's registrations in a fresh process, the device. With the OVERRIDES of a
    run, it is also composed and validated as verl does it; its rows are read, its tools created and released, and its
    reward function is called with a right, a wrong and an empty answer:

    \b
        verl-hdpo doctor
        verl-hdpo doctor -- algorithm.adv_estimator=hdpo +algorithm.hdpo.w_tool=0.1 data.train_files=train.parquet ...
        verl-hdpo doctor -- --config-name=ppo_megatron_trainer algorithm.adv_estimator=hdpo ...

    --json prints a list of objects with section, mark (ok, warn or FAIL), subject, found and advice (a list).

    Exit status: 0 if the run can do what it is meant to, 1 if something is in its way.
    """
    report = Report(as_json)
    report.show(lambda doing: all_findings(config, overrides, doing))
    sys.exit(report.failed)
