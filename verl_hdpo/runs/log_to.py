"""``--log-to``: a command's report in the places where people look at their runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

BACKENDS = ("wandb", "mlflow", "tensorboard", "trackio")


@dataclass(frozen=True)
class LoggedReport:
    """What a report holds.

    Attributes:
        numbers: by name; those that are not finite are left out.
        tables: rows by name; the rows of one table have the same keys.
        pictures: files by name.
    """

    numbers: Mapping[str, float | None]
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    pictures: Mapping[str, Path] = field(default_factory=dict)


def log_to_option(command: Callable) -> Callable:
    """``--log-to``, as an argument ``log_to``: a tuple of names, all of which are installed."""
    return click.option(
        "--log-to", metavar="LIST", default="", callback=_installed,
        help=f"Also log the report to {', '.join(BACKENDS)}: one, or several with commas.",
    )(command)  # fmt: skip


def _installed(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in BACKENDS:
            raise click.BadParameter(f"{name} is unknown; known: {', '.join(BACKENDS)}", context, parameter)
        if importlib.util.find_spec(name) is None:
            raise click.ClickException(f"--log-to {name}: {name} is not installed: pip install 'verl-hdpo[log]'")
    return names
