"""Rollouts of any table, its columns named by the user: ``--columns prompt=question,answer=text,reward=score``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.dumps.call_count import call_count
from verl_hdpo.evaluation.dumps.correctness import outcome_of
from verl_hdpo.evaluation.dumps.dialogue import prompt_turns, response_turns
from verl_hdpo.evaluation.dumps.finite import finite
from verl_hdpo.evaluation.dumps.lines import RolloutsError, rows
from verl_hdpo.evaluation.dumps.messages import spoken
from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.runs.did_you_mean import did_you_mean

Columns = Mapping[str, str]
"""What a column means -> its name in the file."""
Row = Mapping[str, Any]
"""What a column means -> what a row holds there."""

NEEDED = ("prompt", "answer", "reward")
MEANINGS = (*NEEDED, "calls", "correct", "reference", "source", "step", "group", "error", "truncated", "advantage")
NUMBERS = ("reward", "calls", "correct", "step", "advantage")


def parse_columns(text: str) -> dict[str, str]:
    """``prompt=question,answer=text,...``.

    Raises:
        RolloutsError: another form, an unknown meaning, or one of ``NEEDED`` left out.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        meaning, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise RolloutsError(f"--columns: {part!r} is not meaning=column; meanings: {', '.join(MEANINGS)}")
        if meaning not in MEANINGS:
            raise RolloutsError(f"--columns: {meaning!r} is an unknown meaning; {did_you_mean(meaning, MEANINGS)}")
        if meaning in found:
            raise RolloutsError(f"--columns: {meaning} is given twice")
        found[meaning] = column
    if missing := [meaning for meaning in NEEDED if meaning not in found]:
        raise RolloutsError(f"--columns: {', '.join(missing)} missing; name at least {', '.join(NEEDED)}")
    return found


def read(path: Path, name: str, columns: Columns) -> Iterator[Rollout]:
    """The rows; those of one group, or else of one prompt and step, are a group.

    A row is right if ``correct`` is above 0.5, or the reward where no such column is named.

    Raises:
        RolloutsError: a row without one of the columns, or a column of numbers that holds none.
    """
    numbers: dict[str, int] = {}
    unread = {meaning: list[Any]() for meaning in NUMBERS if meaning in columns}
    for line in rows(path):
        row = {meaning: line.row.get(column) for meaning, column in columns.items()}
        if missing := [column for column in columns.values() if column not in line.row]:
            raise RolloutsError(
                f"{path}, line {line.number} has no column {missing[0]}; found: {', '.join(line.row) or 'none'}"
            )
        group = f"{name}:{row['group'] if 'group' in row else (row.get('step'), row['prompt'])}"
        numbers[group] = numbers.get(group, -1) + 1
        extras = {key: value for key, value in line.row.items() if key not in columns.values()}
        if "truncated" in row:
            extras["truncated"] = row["truncated"]
        calls = call_count(row.get("calls"), f"{path}, line {line.number}, column {columns.get('calls')}")
        for meaning, values in [*unread.items()]:
            if finite(row[meaning]) is not None:
                del unread[meaning]
            elif not row.get("error"):
                values.append(row[meaning])
        yield _rollout(row, calls, f"{name}:{line.number}", group, numbers[group], str(path), extras)
    for meaning, values in unread.items():
        if values:
            found = f"column {columns[meaning]} ({meaning}) has no number in {len(values)} rows, e.g. {values[0]!r:.60}"
            raise RolloutsError(f"{path}: {found}")


def _rollout(
    row: Row, calls: int | None, key: str, group: str, number: int, file: str, extras: Mapping[str, Any]
) -> Rollout:
    turns = spoken(row["answer"], response_turns)
    verdict = finite(row["correct"] if "correct" in row else row["reward"])
    step = finite(row.get("step"))
    if "calls" not in row:
        calls = sum(len(turn.calls) for turn in turns)
    error = str(row.get("error") or "")
    return Rollout(
        id=key,
        phase="train",
        source=str(row.get("source") or ""),
        step=None if step is None else int(step),
        group=group,
        number=number,
        prompt=spoken(row["prompt"], prompt_turns),
        turns=turns,
        reference=str(row.get("reference") or ""),
        outcome="lost" if error else outcome_of(verdict),
        accuracy=verdict,
        reward=finite(row["reward"]),
        verdict="correct" if "correct" in row else "reward",
        lost=error,
        calls=calls,
        counted="report" if "calls" in row else "text",
        advantage=finite(row.get("advantage")),
        file=file,
        extras=extras,
    )
