"""The runs of a comparison, each in a folder of its own that says how far it came."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from verl_hdpo.compare.variant import Variant
from verl_hdpo.runs.fingerprint import of_inputs
from verl_hdpo.runs.override import key_and_value
from verl_hdpo.runs.quoted import quoted
from verl_hdpo.runs.verl_keys import ESTIMATOR
from verl_hdpo.runs.whole_file import whole_file

State = Literal["new", "unfinished", "finished"]

SEED_KEYS = ("data.seed", "actor_rollout_ref.rollout.seed", "actor_rollout_ref.actor.data_loader_seed")
"""What verl takes a seed for: the order of the data, sampling, the order of mini-batches."""

SEED_PLACE, RUN_PLACE = "{seed}", "{run}"
"""What stands in an override for a run's seed, and for a name that no other run has."""

DUMPS = ("trainer.rollout_data_dir", "trainer.validation_data_dir")
"""Where verl writes a file per step."""

WHOLE_STATE = {"model", "optimizer", "extra"}
"""What verl's checkpoints hold unless told otherwise, and what a run must have to go on."""

METRICS, LOG = "metrics.jsonl", "train.log"
_COMMAND, _DONE, _CHECKPOINTS = "command.json", "done.json", "checkpoints"


class PlanError(ValueError):
    """Runs that cannot be made or gone on with; the message says what to do."""


@dataclass(frozen=True)
class PlannedRun:
    """One training run.

    Attributes:
        variant: the algorithm.
        seed: of data order and sampling, the same for all variants.
        folder: where it runs: ``metrics.jsonl``, ``train.log``, ``checkpoints/`` if there are any.
        arguments: of verl's launcher, hydra's options last.
        cpu: whether it is trained on the CPU, with other settings beneath its own.
    """

    variant: Variant
    seed: int
    folder: Path
    arguments: tuple[str, ...]
    cpu: bool = False

    @property
    def label(self) -> str:
        return f"{self.variant.label} seed {self.seed}"

    @property
    def hydra_dir(self) -> Path:
        """Where hydra notes the config."""
        return self.folder / "hydra"

    @property
    def log(self) -> Path:
        """All output, of this attempt and of those that it goes on from."""
        return self.folder / LOG

    @property
    def state(self) -> State:
        """How far it came.

        Raises:
            PlanError: the folder holds a run with other arguments, of another device, or of files changed since.
        """
        command = self.folder / _COMMAND
        if not command.exists():
            return "new"
        found = json.loads(command.read_text())
        changed = sorted(set(found["arguments"]) ^ set(self.arguments))
        if not changed and found["arguments"] != list(self.arguments):
            changed.append("the order of the overrides, of which the last one counts")
        if found["cpu"] != self.cpu:
            changed.append("made on the CPU" if found["cpu"] else "not made on the CPU")
        was, now = found["files"], of_inputs(self.arguments)
        changed += sorted(f"another {file}" for file in {*was, *now} if was.get(file) != now.get(file))
        if changed:
            raise PlanError(
                f"{self.folder} holds a run with other settings ({', '.join(changed)}); give another --out, or "
                f"remove the folder"
            )
        return "finished" if (self.folder / _DONE).exists() else "unfinished"

    def prepare(self) -> bool:
        """Make the folder ready to run in; True if verl goes on from a checkpoint, else it begins anew.

        What an earlier attempt logged is kept beside for :meth:`metrics_files` when there is a checkpoint. One without
        the whole state does not count: verl would go on from its step, with weights or an optimizer that are new.
        """
        contents = self._noted("actor_rollout_ref", "actor", "checkpoint", "save_contents")
        partial = isinstance(contents, list) and not set(contents) >= WHOLE_STATE
        resumes = self._saved.exists() and not partial
        if not resumes:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / METRICS).exists():
            number = len(self.metrics_files())
            (self.folder / METRICS).rename(self.folder / f"metrics.{number:03}.jsonl")
        made_of = {"arguments": list(self.arguments), "cpu": self.cpu, "files": of_inputs(self.arguments)}
        write_json(self.folder / _COMMAND, made_of)
        return resumes

    @property
    def attempt(self) -> list[str]:
        """``arguments``, and what this attempt needs besides.

        verl saves a step before it validates and logs it. Where a run was killed in between, verl takes the step for
        done when it goes on, so that a validation before training must stand for the one that was lost.
        """
        overrides = [argument for argument in self.arguments if not argument.startswith("--")]
        options = self.arguments[len(overrides) :]
        saved = int(self._saved.read_text()) if self._saved.exists() else 0
        every, logged = self._noted("trainer", "test_freq"), max((row["step"] for row in self.logged()), default=0)
        if isinstance(every, int) and every > 0 and saved > logged:
            overrides.append("trainer.val_before_train=true")
        return [*overrides, *options]

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Note that the run came to its end."""
        write_json(self.folder / _DONE, facts)

    def facts(self) -> dict[str, Any]:
        """What :meth:`finish` noted."""
        return json.loads((self.folder / _DONE).read_text())

    def metrics_files(self) -> list[Path]:
        """verl's metrics in the order of the attempts."""
        current = self.folder / METRICS
        return [*sorted(self.folder.glob("metrics.*.jsonl")), *([current] if current.exists() else [])]

    def logged(self) -> Iterator[dict[str, Any]]:
        """What verl logged in the order of the attempts, as ``{"step": ..., "data": {...}}``."""
        for file in self.metrics_files():
            for line in file.read_bytes().splitlines():
                with suppress(ValueError):  # the line at which a killed run stopped
                    yield json.loads(line)

    def _noted(self, *key: str) -> Any:
        """A value of the config that hydra noted when it started the run; None if it did not."""
        noted = self.hydra_dir / ".hydra" / "config.yaml"
        value = yaml.safe_load(noted.read_text()) if noted.exists() else {}
        for part in key:
            value = value.get(part) or {}
        return value or None

    @property
    def _saved(self) -> Path:
        """Where verl notes the step of its last checkpoint."""
        return self.folder / _CHECKPOINTS / "latest_checkpointed_iteration.txt"


def plan(
    variants: Sequence[Variant], seeds: Sequence[int], overrides: Sequence[str], config: Sequence[str], out: Path,
    cpu: bool = False,
) -> list[PlannedRun]:  # fmt: skip
    """Every variant with every seed; all variants of one seed before the next, so that an early look is fair.

    Args:
        overrides: of all runs; in one ``{seed}`` stands for the seed, and ``{run}`` for the run's own name.
        config: hydra's own options, after all overrides.
        out: folder of the comparison.
        cpu: whether they train on the CPU.

    Raises:
        PlanError: an override that the comparison sets itself.
    """
    _check([*overrides, *(own for variant in variants for own in variant.overrides[1:])])
    runs = []
    for seed in seeds:
        for variant in variants:
            folder = out / "runs" / variant.folder / f"seed{seed}"
            runs.append(PlannedRun(variant, seed, folder, _arguments(variant, seed, folder, overrides, config), cpu))
    return runs


def _arguments(
    variant: Variant, seed: int, folder: Path, overrides: Sequence[str], config: Sequence[str]
) -> tuple[str, ...]:
    name = f"{variant.folder}-seed{seed}"
    return (
        "trainer.logger=[console,file]",
        "trainer.project_name=compare",
        "trainer.resume_mode=auto",
        *(override.replace(SEED_PLACE, str(seed)).replace(RUN_PLACE, name) for override in overrides),
        f"trainer.default_local_dir={quoted((folder / _CHECKPOINTS).resolve())}",
        f"trainer.experiment_name={name}",
        "++algorithm.hdpo.observe=true",
        *(f"{key}={seed}" for key in SEED_KEYS),
        *variant.overrides,
        *config,
    )


def _check(overrides: Sequence[str]) -> None:
    for override in overrides:
        key, value = key_and_value(override)
        if "=" not in override and not override.startswith("~"):
            raise PlanError(f"{override!r} is not an override of verl's config; write key=value")
        if key == ESTIMATOR:
            raise PlanError(f"{override}: the algorithms are those of --algos")
        if key in SEED_KEYS:
            raise PlanError(f"{override}: the seeds are those of --seeds")
        if key == "trainer.resume_mode":
            raise PlanError(f"{override}: a run that was stopped goes on from its checkpoint, if it wrote any")
        if key == "trainer.default_local_dir":
            raise PlanError(f"{override}: each run keeps its checkpoints in its own folder under --out")
        if key == "trainer.logger" and not re.search(r"\bfile\b", value):
            raise PlanError(f"{override}: the report is made from verl's file logger; add 'file' to the list")
        if key in DUMPS and RUN_PLACE not in value:
            raise PlanError(f"{override}: the runs would overwrite each other's; put {RUN_PLACE} into the path")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content``, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(json.dumps(content, indent=2) + "\n")
