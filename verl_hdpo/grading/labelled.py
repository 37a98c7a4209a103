"""Grading a file of answers, so that people see how the grader judges their own data before they train."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.grading.grader import Grader
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.references import UnusableReference
from verl_hdpo.outcomes.outcome import Outcome

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
        LabelledError: a line that is not such an object.
    """
    rows = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise LabelledError(f"{file}, line {number}: is not valid JSON: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get("answer"), str) or "gold" not in row:
            raise LabelledError(f"{file}, line {number}: must be an object with 'gold' and 'answer', found {line[:80]}")
        if not isinstance(row.get("right"), bool | None):
            raise LabelledError(f"{file}, line {number}: 'right' must be true or false, found {row['right']!r}")
        rows.append(row)
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
                return Graded(row, outcome, time.monotonic() - began)

        return await asyncio.gather(*(one(number, row) for number, row in enumerate(rows, 1)))

    return asyncio.run(every())


def write(graded: Iterable[Graded], out: Path) -> None:
    """The same lines with ``verdict`` and ``source``."""
    with open(out, "w") as file:
        for one in graded:
            row = {**one.row, "verdict": one.verdict, "source": one.outcome.source}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def report(graded: Sequence[Graded]) -> Iterator[str]:
    """What to print: verdicts and who gave them; on labelled rows agreement, confusion, and agreement per kind."""
    verdicts = Counter(one.verdict for one in graded)
    yield f"{len(graded)} answers: " + ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS)
    sources = Counter(one.outcome.source or "not said" for one in graded)
    yield "decided by: " + ", ".join(f"{source} {count}" for source, count in sources.most_common())
    seconds = sorted(one.seconds for one in graded)
    if seconds:
        middle, slow = seconds[len(seconds) // 2], seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]
        yield f"seconds to a verdict: median {middle:.4f}, 99th percentile {slow:.4f}, most {seconds[-1]:.4f}"
    labelled = [one for one in graded if one.as_labelled is not None]
    if not labelled:
        return
    yield ""
    yield f"agreement with 'right': {_share(labelled)}"
    yield f"{'':12}{'correct':>9}{'wrong':>9}{'unknown':>9}"
    for label, right in (("right", True), ("not right", False)):
        found = Counter(one.verdict for one in labelled if one.row["right"] is right)
        yield f"{label:12}" + "".join(f"{found[verdict]:9}" for verdict in VERDICTS)
    kinds = dict.fromkeys(str(one.row.get("kind") or "") for one in labelled)
    if len(kinds) > 1:
        yield ""
        for kind in kinds:
            rows = [one for one in labelled if str(one.row.get("kind") or "") == kind]
            yield f"{kind or 'no kind':24} {_share(rows)}"


def _share(rows: Sequence[Graded]) -> str:
    agreed = sum(bool(one.as_labelled) for one in rows)
    return f"{agreed} of {len(rows)} ({100 * agreed / len(rows):.1f} %)"
