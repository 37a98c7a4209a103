"""``read_rollouts``: the rollouts in a file, or in all files of a folder, whatever wrote them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.dumps import eval_records, named_columns, trl_completions, verifiers_results, verl_dump
from verl_hdpo.evaluation.dumps.lines import JSONL, PARQUET, RolloutsError, rows
from verl_hdpo.evaluation.dumps.named_columns import Columns
from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.outcomes.sidecar import FOLDER


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: in words.
        matches: whether a file, and the first object in it, are of this kind.
        read: its rollouts, by path and by the name that ids and groups begin with.
        parquet: whether it may be a table of Parquet.
    """

    name: str
    matches: Callable[[Path, Mapping[str, Any]], bool]
    read: Callable[[Path, str], Iterator[Rollout]]
    parquet: bool = False

    def fits(self, path: Path, first: Mapping[str, Any]) -> bool:
        """Whether it can read the file."""
        return (self.parquet or path.suffix != PARQUET) and self.matches(path, first)


FORMATS = (
    Format("verl's dump of rollouts", verl_dump.matches, verl_dump.read),
    Format("records of verl-hdpo eval", eval_records.matches, eval_records.read),
    Format("results of verifiers", verifiers_results.matches, verifiers_results.read),
    Format("TRL's tables of completions", trl_completions.matches, trl_completions.read, parquet=True),
)


@dataclass(frozen=True)
class Reading:
    """What was read.

    Attributes:
        rollouts: in the order of their steps, groups and numbers.
        passed_over: files with rows that are of no known format.
    """

    rollouts: list[Rollout]
    passed_over: list[Path]


def read_rollouts(
    where: Path, steps: tuple[int | None, int | None] = (None, None), columns: Columns | None = None
) -> Reading:
    """The rollouts at ``where``.

    Args:
        where: a file, or a folder with files of any depth.
        steps: the first and the last training step wanted; None: no bound. What has no step is always wanted.
        columns: what the columns of the files mean, for files of no known format; every file is read by them.

    Raises:
        RolloutsError: nothing there, nothing of a known format, or a line that cannot be read.
    """
    if not where.exists():
        raise RolloutsError(f"{where} does not exist; name the folder of a run's dump, or of an evaluation")
    if where.is_file() and where.suffix not in (JSONL, PARQUET):
        raise RolloutsError(f"{where} is not a dump: a dump is {JSONL} or {PARQUET}")
    root, files = (where.parent, [where]) if where.is_file() else (where, _files(where))
    formats: tuple[Format, ...] = FORMATS
    if columns:
        read = partial(named_columns.read, columns=columns)
        formats = (Format("columns named by --columns", lambda path, first: True, read, parquet=True),)
    present = set(files)
    rollouts: list[Rollout] = []
    passed_over: list[Path] = []
    for file in files:
        first = next((line.row for line in rows(file)), None)
        if first is None:
            continue
        kind = next((kind for kind in formats if kind.fits(file, first)), None)
        if kind is None:
            passed_over.append(file)
        elif _wanted(first.get((columns or {}).get("step", "step")), steps):
            path = file.relative_to(root)
            twins = path.with_suffix(JSONL), path.with_suffix(PARQUET)
            alone = not all(root.joinpath(twin) in present for twin in twins)
            rollouts += kind.read(file, (path.with_suffix("") if alone else path).as_posix())
    if not rollouts:
        raise RolloutsError(_nothing(where, passed_over, steps))
    order = {one.group: at for at, one in reversed([*enumerate(rollouts)])}
    rollouts.sort(key=lambda one: (order[one.group], one.number))
    return Reading(rollouts, passed_over)


def read_steps(text: str) -> tuple[int | None, int | None]:
    """``12``, ``10:20``, ``10:`` or ``:20``, both ends included.

    Raises:
        RolloutsError: another text, or a range without steps.
    """
    found = re.fullmatch(r"(\d*)(:?)(\d*)", text)
    if not found or not (found[1] or found[3]) or (not found[2] and found[3]):
        raise RolloutsError(f"--steps {text!r}: give one step, such as 12, or a range, such as 10:20, 10: or :20")
    first, last = (int(part) if part else None for part in (found[1], found[3]))
    if first is not None and last is not None and first > last:
        raise RolloutsError(f"--steps {text}: the first step is after the last; write {last}:{first}")
    return (first, last) if found[2] else (first, first)


def _files(folder: Path) -> list[Path]:
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix in (JSONL, PARQUET) and path.is_file() and path.parent.name != FOLDER
    ]
    return sorted(
        found,
        key=lambda path: (
            path.parent,
            not path.stem.isdigit(),
            int(path.stem) if path.stem.isdigit() else 0,
            path.name,
        ),
    )


def _wanted(step: Any, steps: tuple[int | None, int | None]) -> bool:
    if not isinstance(step, int):
        return True
    first, last = steps
    return (first is None or step >= first) and (last is None or step <= last)


def _nothing(where: Path, passed_over: list[Path], steps: tuple[int | None, int | None]) -> str:
    if steps != (None, None):
        wanted = ":".join("" if step is None else str(step) for step in steps)
        return f"{where} has no rollouts of the steps {wanted}; leave the steps out to see all"
    known = ", ".join(kind.name for kind in FORMATS)
    if not passed_over:
        found = "is empty" if where.is_file() else "has no .jsonl file with a line in it, and no .parquet"
        dumped = "trainer.rollout_data_dir=DIR and trainer.validation_data_dir=DIR"
        return f"{where} {found}; a run dumps its rollouts with {dumped}"
    first = passed_over[0]
    line = next(rows(first))
    for _ in rows(first):  # a broken line is told before the format
        pass
    return (
        f"{first} is of no known format; known: {known}. Of others, audit and look take the columns by name: "
        f"--columns prompt=...,answer=...,reward=...; found: {', '.join(line.row) or 'none'}"
    )
