"""Grading a file of answers, so that people see how the grader judges their own data before they train."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.grading.grader import Grader
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.references import UnusableReference
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.runs.json_files import json_objects
from verl_hdpo.runs.terminal import progress, say, show_table

VERDICTS = ("correct", "wrong", "unknown")
AT_ONCE = 256


class LabelledError(ValueError):
    """A line that cannot be graded; the message names file and line."""


@dataclass(frozen=True)
class Graded:
    """One line of the file.

    Attributes:
        row: as it was read.
        outcome: what the grader made of it.
        seconds: by the clock, from asking to the verdict.
    """

    row: Mapping[str, Any]
    outcome: Outcome
    seconds: float

    @property
    def verdict(self) -> str:
        return "unknown" if not self.outcome.known else "correct" if self.outcome.acc > 0.5 else "wrong"

    @property
    def as_labelled(self) -> bool | None:
        """Whether the verdict is the label; None without a label."""
        right = self.row.get("right")
        return None if right is None else self.verdict == ("correct" if right else "wrong")


def read_pairs(file: Path) -> list[dict[str, Any]]:
    """The lines of ``file``: an object each with ``gold``, ``answer``, and perhaps ``question``, ``right``, ``kind``.

    Raises:
        LabelledError: no line, or one that is not such an object.
    """
    rows = []
    for number, row in json_objects(file, LabelledError):
        if not isinstance(row.get("answer"), str) or "gold" not in row:
            found = json.dumps(row, ensure_ascii=False)[:80]
            raise LabelledError(f"{file}, line {number}: must be an object with 'gold' and 'answer', found {found}")
        if not isinstance(row.get("right"), bool | None):
            raise LabelledError(f"{file}, line {number}: 'right' must be true or false, found {row['right']!r}")
        rows.append(row)
    if not rows:
        raise LabelledError(f"{file} has no answers; give a file with a line of JSON for each")
    return rows


def grade(rows: Sequence[Mapping[str, Any]], grader: Grader, name: str) -> list[Graded]:
    """Every row graded, in their order.

    Args:
        name: of the file, for messages.

    Raises:
        LabelledError: a reference that nothing can be compared with.
    """

    async def every() -> list[Graded]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, row: Mapping[str, Any]) -> Graded:
            async with slots:
                began = time.monotonic()
                try:
                    question = Question(str(row.get("question") or ""))
                    outcome = await grader(row["answer"], row["gold"], question, row)
                except UnusableReference as error:
                    raise LabelledError(f"{name}, line {number}: {error}") from None
                advance(1)
                return Graded(row, outcome, time.monotonic() - began)

        return await asyncio.gather(*(one(number, row) for number, row in enumerate(rows, 1)))

    with progress("grading", len(rows)) as advance:
        return asyncio.run(every())


def write(graded: Iterable[Graded], out: Path) -> None:
    """The same lines with ``verdict`` and ``source``."""
    with open(out, "w") as file:
        for one in graded:
            row = {**one.row, "verdict": one.verdict, "source": one.outcome.source}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def summary(graded: Sequence[Graded]) -> dict[str, Any]:
    """Verdicts and who gave them; on labelled rows agreement, confusion, and agreement per kind."""
    seconds = sorted(one.seconds for one in graded)
    labelled = [one for one in graded if one.as_labelled is not None]
    by_kind: dict[str, list[Graded]] = {}
    for one in labelled:
        by_kind.setdefault(str(one.row.get("kind") or "no kind"), []).append(one)
    return {
        "answers": len(graded),
        "verdicts": _counted(graded),
        "decided_by": dict(Counter(one.outcome.source or "not said" for one in graded).most_common()),
        "seconds": {
            "median": seconds[len(seconds) // 2],
            "p99": seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)],
            "most": seconds[-1],
        }
        if seconds
        else None,
        "agreement": _agreement(labelled),
        "confusion": {
            label: _counted([one for one in labelled if one.row["right"] is right])
            for label, right in (("right", True), ("not right", False))
        },
        "kinds": {kind: _agreement(rows) for kind, rows in by_kind.items()},
    }


def print_summary(found: Mapping[str, Any]) -> None:
    """:func:`summary` in words and tables."""
    say(
        f"{found['answers']} answers: "
        + ", ".join(f"{count} {verdict}" for verdict, count in found["verdicts"].items())
    )
    say("decided by: " + ", ".join(f"{source} {count}" for source, count in found["decided_by"].items()))
    if seconds := found["seconds"]:
        say("seconds to a verdict: median {median:.4f}, 99th percentile {p99:.4f}, most {most:.4f}".format(**seconds))
    if not found["agreement"]["labelled"]:
        return
    say(f"\nagreement with 'right': {_share(found['agreement'])}")
    show_table(["", *VERDICTS], [[label, *map(str, row.values())] for label, row in found["confusion"].items()])
    if len(found["kinds"]) > 1:
        say("")
        show_table(["kind", "agreement"], [[kind, _share(agreement)] for kind, agreement in found["kinds"].items()])


def _counted(graded: Sequence[Graded]) -> dict[str, int]:
    verdicts = Counter(one.verdict for one in graded)
    return {verdict: verdicts[verdict] for verdict in VERDICTS}


def _agreement(labelled: Sequence[Graded]) -> dict[str, int]:
    return {"agreed": sum(bool(one.as_labelled) for one in labelled), "labelled": len(labelled)}


def _share(found: Mapping[str, int]) -> str:
    return f"{found['agreed']} of {found['labelled']} ({100 * found['agreed'] / found['labelled']:.1f} %)"
