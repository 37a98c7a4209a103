"""``verl-hdpo doctor``: look at an environment, and at a run's config, before any GPU is taken."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from verl_hdpo import __version__
from verl_hdpo.cli.environment import packages, plugin_policy
from verl_hdpo.cli.finding import Finding, report, verdict

PROBE_SECONDS = 300
LAUNCHER = "verl.trainer.main_ppo"


class _VerlCommand(click.Command):
    """Takes what follows ``--`` as a verl command line: hydra's own options, and overrides."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = [arg for arg in args if arg != "--"]
        if LAUNCHER in args:  # the whole command was pasted: python -m verl.trainer.main_ppo ...
            args = args[args.index(LAUNCHER) + 1 :]
        return super().parse_args(ctx, args)


@click.command(cls=_VerlCommand, short_help="Check this environment, and a run's config.")
@click.option("--config-name", "-cn", default="ppo_trainer", show_default=True, help="As for verl.trainer.main_ppo.")
@click.option("--config-path", "-cp", help="As for verl.trainer.main_ppo; default: verl's own.")
@click.option("--config-dir", "-cd", help="As for verl.trainer.main_ppo.")
@click.argument("overrides", nargs=-1)
def doctor(config_name: str, config_path: str | None, config_dir: str | None, overrides: tuple[str, ...]) -> None:
    """Check this environment, and a run's config, before any GPU is taken.

    Without OVERRIDES: versions, the plugin's registrations in a fresh process, the device. With the OVERRIDES of a
    run, it is also composed and validated as verl does it, and its data, model, tool and reward files are looked at:

    \b
        verl-hdpo doctor
        verl-hdpo doctor -- algorithm.adv_estimator=hdpo +algorithm.hdpo.w_tool=0.1 data.train_files=train.parquet ...
        verl-hdpo doctor -- --config-name=ppo_megatron_trainer algorithm.adv_estimator=hdpo ...

    Exit status: 0 if a run can start, 1 if something is in its way.
    """
    asked = bool(overrides or config_path or config_dir or config_name != "ppo_trainer")
    request = {
        "config_name": config_name,
        "config_path": config_path,
        "config_dir": config_dir,
        "overrides": list(overrides) if asked else None,
    }
    click.echo(f"verl-hdpo {__version__}, Python {platform.python_version()}, {sys.executable}")
    findings = _in_order([*packages(), *plugin_policy(), *_probe(request)])
    for line in report(findings):
        click.echo(line)
    click.echo(f"\n{verdict(findings)}")
    sys.exit(any(finding.mark == "FAIL" for finding in findings))


def _in_order(findings: list[Finding]) -> list[Finding]:
    """Those of one section together, sections in order of first appearance."""
    sections = list(dict.fromkeys(finding.section for finding in findings))
    return sorted(findings, key=lambda finding: sections.index(finding.section))


def _probe(request: dict[str, Any]) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "request.json"), Path(folder, "findings.json")
        asked.write_text(json.dumps(request))
        command = [sys.executable, "-m", "verl_hdpo.cli.probe", str(asked), str(answer)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS)
            problem = f"ended with status {done.returncode}" if done.returncode else ""
            output = (done.stdout + done.stderr).strip()
        except subprocess.TimeoutExpired:
            problem, output = f"did not finish within {PROBE_SECONDS} seconds", ""
        for line in answer.read_text().splitlines() if answer.exists() else ():
            fields = json.loads(line)
            yield Finding(**{**fields, "advice": tuple(fields["advice"])})
    if problem:
        tail = "\n".join(output.splitlines()[-15:])
        yield Finding("Plugin", "FAIL", "fresh process", f"importing verl {problem}\n{tail}", ("see Packages above",))
