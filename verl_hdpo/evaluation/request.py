"""``Request``: what ``verl-hdpo eval`` is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from verl_hdpo.evaluation.model import Model
from verl_hdpo.evaluation.record import ARMS, DEFAULT_ARMS, Arm
from verl_hdpo.runs.fingerprint import fingerprint, of_inputs
from verl_hdpo.runs.outputs import check_apart
from verl_hdpo.runs.verl_command import VerlConfig


def read_arms(context: click.Context, parameter: click.Parameter, text: str) -> tuple[Arm, ...]:
    """The arms in a list with commas."""
    asked = [arm.strip() for arm in text.split(",")]
    if unknown := [arm for arm in asked if arm not in ARMS]:
        raise click.UsageError(f"--arms: {', '.join(map(repr, unknown))}; known: {', '.join(ARMS)}")
    if "free" not in asked:
        raise click.UsageError("--arms must have free: the others are measured against it")
    return tuple(arm for arm in ARMS if arm in asked)


def read_list(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """The entries of a list with commas, each once."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))


def read_seeds(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    """The whole numbers in a list with commas."""
    try:
        return tuple(map(int, read_list(context, parameter, text)))
    except ValueError:
        raise click.UsageError(f"--seeds must be whole numbers with commas between them, found {text}") from None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of which models.

    Attributes: the command's options, as its ``--help`` explains them.
    """

    models: Sequence[str]
    endpoints: Sequence[str]
    served_names: Sequence[str]
    api_key_env: str | None
    data: Sequence[str]
    samples: int
    rollouts: int
    arms: tuple[Arm, ...]
    without: str
    call_start: str | None
    seed: int
    concurrency: int
    out: Path
    cpu: bool
    config: VerlConfig
    overrides: Sequence[str]
    benchmarks: Sequence[str] = ()
    templates: Sequence[str] = ("none",)
    seeds: Sequence[int] = (0,)
    apis: Sequence[str] = ()
    as_json: bool = False
    log_to: Sequence[str] = ()

    def each_model(self) -> list[Model]:
        """The models, each with its server.

        Raises:
            click.UsageError: options that do not fit together, or two models of one label.
            OutputError: as for :func:`check_apart`.
        """
        for option, values in (
            ("--endpoint", self.endpoints),
            ("--served-name", self.served_names),
            ("--api", self.apis),
        ):
            if values and len(values) != len(self.models):
                raise click.UsageError(f"{len(self.models)} x --model and {len(values)} x {option}: give one for each")
        if self.api_key_env and self.api_key_env not in os.environ:
            raise click.UsageError(f"--api-key-env: the environment has no variable {self.api_key_env}")
        for option, given in (("--served-name", self.served_names), ("--api-key-env", self.api_key_env)):
            if given and not self.endpoints:
                raise click.UsageError(f"{option} is about a server of yours: name it by --endpoint")
        for text in self.models:
            label, equals, path = text.partition("=")
            if not text or (equals and "/" not in label and (not path or label in ("", ".", ".."))):
                raise click.UsageError(f"--model {text!r}: write PATH, or LABEL=PATH with a name for the label")
        none, key = [None] * len(self.models), os.environ.get(self.api_key_env) if self.api_key_env else None
        # A chat's key is not sent to whoever serves the other model.
        key_for: dict[str | None, str | None] = {"chat": key}
        if "chat" not in self.apis:
            key_for = dict.fromkeys((None, "completions"), key)
        columns = self.models, self.endpoints or none, self.served_names or none, self.apis or none
        models = [
            Model.parse(text, url=url, name=name, api_key=key_for.get(api), is_chat=api == "chat")
            for text, url, name, api in zip(*columns, strict=True)
        ]
        if self.benchmarks and (self.data or self.arms != DEFAULT_ARMS):
            other = "--data" if self.data else "--arms"
            raise click.UsageError(f"{other} goes with the run's own questions, and --benchmark brings others")
        if "chat" in self.apis and not self.benchmarks:
            raise click.UsageError("--api chat: only with --benchmark; the run's tool loop needs the model's tokens")
        if "chat" in self.apis and not self.endpoints:
            raise click.UsageError("--api chat: say where the server is, by --endpoint")
        labels = [model.label for model in models]
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise click.UsageError(f"two models are called {twice}; name them: --model LABEL=PATH")
        self._check_out(models)
        return models

    def _check_out(self, models: Sequence[Model]) -> None:
        """Raises ``OutputError`` where ``out`` could change a checkpoint or the data."""
        named = [text.partition("=")[2] for text in self.benchmarks]
        named += [*self.data, *(model.path for model in models)]
        check_apart(self.out, [Path(text).expanduser() for text in named if text])

    def made_by(self, model: Model) -> dict[str, Any]:
        """What the answers of ``model`` to a benchmark depend on, the questions aside."""
        return {
            **model.made_of,
            "overrides": list(self.overrides),
            "config": self.config.arguments,
            "cpu": self.cpu,
            "files": of_inputs([*self.overrides, *self.config.arguments]),
        }

    def made_of(self, model: Model, data: Sequence[str]) -> dict[str, Any]:
        """What the rollouts of ``model`` on ``data`` depend on; arms and rollouts can be added to those there are."""
        return {
            **self.made_by(model),
            "ban_calls": self.without == "token",
            "call_start": self.call_start,
            "seed": self.seed,
            "samples": self.samples,
            "data": [fingerprint(file) for file in data],
        }
