"""A command that takes a verl command line after ``--``, and the check of the runs that it stands for."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from verl_hdpo.runs.cpu_settings import on_cpu
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.fingerprint import DEFAULT_CONFIG

LAUNCHER = "verl.trainer.main_ppo"
STEPS = "training steps"
"""Subject of the finding that holds ``trainer.total_training_steps``, if that is set."""

PROBE_SECONDS = 300
"""Time to import verl and check one run; each further run has a tenth of it."""


class VerlCommand(click.Command):
    """Takes what follows ``--`` as a verl command line: hydra's own options, and overrides."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if LAUNCHER in args and "--" not in args:
            raise click.UsageError(f"write -- before the command line of {LAUNCHER}", ctx)
        at = args.index("--") if "--" in args else 0
        own, verl = args[:at], [arg for arg in args[at:] if arg != "--"]
        if LAUNCHER in verl:  # the whole command was pasted: python -m verl.trainer.main_ppo ...
            verl = verl[verl.index(LAUNCHER) + 1 :]
        return super().parse_args(ctx, [*own, *verl])


@dataclass(frozen=True)
class VerlConfig:
    """Which config of verl's a run starts from: hydra's three options, as for ``verl.trainer.main_ppo``."""

    config_name: str = DEFAULT_CONFIG
    config_path: str | None = None
    config_dir: str | None = None

    @property
    def is_default(self) -> bool:
        return self == VerlConfig()

    @property
    def arguments(self) -> list[str]:
        """As arguments for verl's launcher, to stand after the overrides."""
        given = {"--config-name": self.config_name, "--config-path": self.config_path, "--config-dir": self.config_dir}
        if self.config_name == DEFAULT_CONFIG:
            del given["--config-name"]
        return [f"{name}={value}" for name, value in given.items() if value]


@contextlib.contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Imports of what is installed with an extra only: better missed now than after hours of training."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install 'verl-hdpo[{name}]'") from None


def _beside_launcher(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The absolute path: hydra takes a relative ``--config-path`` from the folder of verl's launcher."""
    spec = importlib.util.find_spec(LAUNCHER.partition(".")[0])
    if value is None or spec is None or spec.origin is None or "://" in value:
        return value
    launcher = Path(spec.origin).parent.joinpath(*LAUNCHER.split(".")[1:])
    return str((launcher.parent / value).resolve())


def cpu_option(what: str) -> Callable:
    """``--cpu``, which is also set by ``VERL_PLATFORM=cpu``, and sets that for child processes."""
    return click.option(
        "--cpu",
        is_flag=True,
        callback=lambda context, option, asked: on_cpu(asked),
        help=f"{what} on the CPU; as VERL_PLATFORM=cpu.",
    )


def verl_options(command: Callable) -> Callable:
    """hydra's options and the overrides, as arguments ``config`` (a :class:`VerlConfig`) and ``overrides``."""

    @functools.wraps(command)
    def with_config(config_name: str, config_path: str | None, config_dir: str | None, **given: Any) -> Any:
        return command(config=VerlConfig(config_name, config_path, config_dir), **given)

    for option in (
        click.argument("overrides", nargs=-1),
        click.option("--config-dir", "-cd", help=f"As for {LAUNCHER}."),
        click.option(
            "--config-path", "-cp", callback=_beside_launcher, help=f"As for {LAUNCHER}; default: verl's own."
        ),
        click.option("--config-name", "-cn", default=DEFAULT_CONFIG, show_default=True, help=f"As for {LAUNCHER}."),
    ):
        with_config = option(with_config)
    return with_config


def probe(config: VerlConfig, runs: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """What a fresh process that imports verl finds: the plugin's registrations, the device, and each run.

    Args:
        config: what all runs start from.
        runs: overrides of each run by a label, which its sections' headings show; "" where there is but one.
    """
    request = {
        "config_name": config.config_name,
        "config_path": config.config_path,
        "config_dir": config.config_dir,
        "runs": {label: list(overrides) for label, overrides in runs.items()},
    }
    limit = PROBE_SECONDS * (1 + 0.1 * max(len(runs) - 1, 0))
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "request.json"), Path(folder, "findings.json")
        asked.write_text(json.dumps(request))
        command = [sys.executable, "-m", "verl_hdpo.doctor.probe", str(asked), str(answer)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
            problem = f"ended with status {done.returncode}" if done.returncode else ""
            output = (done.stdout + done.stderr).strip()
        except subprocess.TimeoutExpired:
            problem, output = f"did not finish within {limit:.0f} seconds", ""
        for line in answer.read_text().splitlines() if answer.exists() else ():
            fields = json.loads(line)
            yield Finding(**{**fields, "advice": tuple(fields["advice"])})
    if problem:
        tail = "\n".join(output.splitlines()[-15:])
        yield Finding("Plugin", "FAIL", "fresh process", f"the check {problem}\n{tail}", ("see Packages above",))
