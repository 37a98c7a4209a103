"""A command that takes a verl command line after ``--``."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from verl_hdpo.runs.cpu_settings import on_cpu
from verl_hdpo.runs.fingerprint import DEFAULT_CONFIG
from verl_hdpo.runs.migration.launchers import LAUNCHER, launcher_of

STEPS = "training steps"
"""Subject of the finding that holds ``trainer.total_training_steps``, if that is set."""

PASTED = "verl_hdpo.launcher"
"""Under which a context holds the launcher of a pasted command."""

_PYTHON = re.compile(r"(.*/)?(python[\d.]*|torchrun|accelerate|deepspeed)")
_HYDRAS = ("--cfg", "--hydra-help", "--info", "--multirun", "--package", "--resolve", "--shell-completion")
"""Options of hydra's beside those that name a config: with them verl prints something, or starts several runs."""


class VerlCommand(click.Command):
    """Takes what follows ``--`` as a verl command line: hydra's own options, and overrides."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" not in args and (pasted := _launcher(args)):
            raise click.UsageError(f"write -- before the command line of {pasted[0]}", ctx)
        at = args.index("--") if "--" in args else 0
        own, verl = args[:at], [arg for arg in args[at:] if arg not in ("", "--")]
        if pasted := _launcher(verl):  # the whole command was pasted: python -m verl.trainer.main_ppo ...
            launcher, at = pasted
            self.take_launcher(ctx, launcher)
            verl = verl[at + 1 :]
        for before, word in pairwise(["", *verl]):
            if word.partition("=")[0] in _HYDRAS:
                raise click.UsageError(f"{word} is an option of hydra's that no run needs; leave it out", ctx)
            if word.startswith("=") and not before.startswith("--"):
                raise click.UsageError(f"{word!r} has no key: write key=value, without spaces around =", ctx)
        return super().parse_args(ctx, [*own, *verl])

    def take_launcher(self, ctx: click.Context, launcher: str) -> None:
        """Refuse every launcher but verl's V1 trainer."""
        if launcher != LAUNCHER:
            raise click.UsageError(_not_ours(launcher), ctx)


class PastedCommand(VerlCommand):
    """Takes any launcher, and leaves its name in the context."""

    def take_launcher(self, ctx: click.Context, launcher: str) -> None:
        ctx.meta[PASTED] = launcher


def _launcher(words: Sequence[str]) -> tuple[str, int] | None:
    """What a pasted command line starts, a module or a script, and where it stands; None for bare overrides."""
    python = next((at for at, word in enumerate(words) if _PYTHON.fullmatch(word)), len(words))
    for at in range(python + 1, len(words)):
        if words[at - 1] == "-m":
            return words[at], at
        if words[at].endswith(".py"):
            return (LAUNCHER if words[at].endswith("verl/trainer/main_ppo.py") else words[at]), at
    return (LAUNCHER, words.index(LAUNCHER)) if LAUNCHER in words else None


def _not_ours(launcher: str) -> str:
    found = f"{launcher} is not {LAUNCHER}, verl's V1 trainer, in which verl-hdpo works"
    if launcher_of(launcher):
        return f"{found}; verl-hdpo migrate -- python -m {launcher} ... prints the command that does the same there"
    return f"{found}; give the command line of python -m {LAUNCHER}"


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
    if value is None or spec is None or spec.origin is None or "://" in value or value.startswith("$"):
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
