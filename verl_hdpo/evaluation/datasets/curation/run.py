"""``curate``: each check of each row, on disk as soon as it is made; what was dropped, and why."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.datasets.curation.trajectory import Trajectory
from verl_hdpo.evaluation.datasets.curation.verdict import Check, Verdict
from verl_hdpo.evaluation.datasets.parquet_parts import ParquetParts
from verl_hdpo.runs.outputs import check_apart
from verl_hdpo.runs.rows import read_rows

SAMPLES = 3
"""Rows that the report shows of each reason."""
DETAIL_CHARS = 300
"""Characters of a reason in the message."""


class Unchecked(RuntimeError):
    """Some rows could not be checked; the message says how many and why, and that the same command goes on."""


class NothingLeft(ValueError):
    """There are no rows, none that a check concerns, or every row was dropped; the message says why."""


Key = tuple[int, str]


class Ledger:
    """Verdicts as lines of JSON; those of other rows or settings, and unknown ones, are not read back."""

    def __init__(self, path: Path, checks: Sequence[Check]):
        self.path, self.verdicts = path, dict[Key, Verdict]()
        self._made_of = {check.name: check.made_of for check in checks}
        self._rows: dict[int, str] = {}

    def know(self, number: int, row: str) -> None:
        """``row``: a row's fingerprint."""
        self._rows[number] = row

    def read(self) -> None:
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            try:
                found = json.loads(line)
                number, check, verdict = found["row"], found["check"], Verdict(**found["verdict"])
                same = found["made_of"] == self._made_of.get(check) and found["of"] == self._rows.get(number)
            except (ValueError, KeyError, TypeError):
                continue  # the line at which a killed run stopped
            if same and verdict.says != "unknown":
                self.verdicts[number, check] = verdict

    def add(self, number: int, check: str, verdict: Verdict) -> None:
        self.verdicts[number, check] = verdict
        line = {"row": number, "of": self._rows[number], "check": check, "made_of": self._made_of[check]}
        with self.path.open("a") as out:
            out.write(json.dumps({**line, "verdict": asdict(verdict)}) + "\n")


def curate(source: Path, out: Path, checks: Sequence[Check], concurrency: int) -> Iterator[str]:
    """Write the rows of ``source`` that pass every check, and a report beside them; yields what to tell.

    Raises:
        Unchecked, NothingLeft: no parquet was written, only ledger and report.
        OutputError: a file to write is one that is read.
        Unreachable: no server is at an address.
        RowsError: the file cannot be read.
    """
    ledger, report = Ledger(out.with_suffix(".verdicts.jsonl"), checks), out.with_suffix(".report.md")
    for written in (out, ledger.path, report):
        check_apart(written, [source])
    out.parent.mkdir(parents=True, exist_ok=True)
    count, idle = 0, {check.name: check for check in checks}
    for count, (number, row) in enumerate(read_rows(source), 1):  # noqa: B007 - and counts
        ledger.know(number, _fingerprint(row))
        trajectory = Trajectory.of(row)
        idle = {name: check for name, check in idle.items() if not check.concerns(trajectory)}
    if not count:
        raise NothingLeft(f"{source} is empty; no parquet was written")
    for check in idle.values():
        raise NothingLeft(f"no row of {source} has {check.needs}")
    ledger.read()
    asyncio.run(_check(source, checks, ledger, concurrency))
    unknown = [verdict for verdict in ledger.verdicts.values() if verdict.says == "unknown"]
    report.write_text("\n".join(_report(source, count, checks, ledger)) + "\n")
    if unknown:
        told = "; ".join(f"{number} x {why}" for why, number in Counter(one.why for one in unknown).most_common())
        ((most, _),) = Counter(" ".join(one.detail.split())[:DETAIL_CHARS] for one in unknown).most_common(1)
        raise Unchecked(
            f"{len(unknown)} checks could not be made: {told}; most often: {most}; no parquet was written; each with "
            f"its reason: {report}. Run the same command again to go on"
        )
    dropped = {number for (number, _), verdict in ledger.verdicts.items() if verdict.says == "drop"}
    if len(dropped) == count:
        raise NothingLeft(f"all {count} rows of {source} were dropped; no parquet was written; why: {report}")
    with ParquetParts(out) as parts:
        for number, row in read_rows(source):
            if number not in dropped:
                parts.add(row)
        parts.finish()
    yield f"{count - len(dropped)} of {count} rows kept in {out}; why the others were not: {report}"


async def _check(source: Path, checks: Sequence[Check], ledger: Ledger, concurrency: int) -> None:
    """Every check that is still to be made; of a row in turn, until one drops it. Images of few rows are in memory."""
    slots, tasks = asyncio.Semaphore(concurrency), set[asyncio.Task]()

    async def one(number: int, row: Any) -> None:
        try:
            trajectory = Trajectory.of(row)
            for check in checks:
                known = ledger.verdicts.get((number, check.name))
                if known is None:
                    known = await check(trajectory)
                    ledger.add(number, check.name, known)
                if known.says != "keep":
                    return
        finally:
            slots.release()

    try:
        for number, row in read_rows(source):
            await slots.acquire()
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                task.result()
            tasks.add(asyncio.create_task(one(number, row)))
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for check in checks:
            await check.close()


def _report(source: Path, count: int, checks: Sequence[Check], ledger: Ledger) -> Iterator[str]:
    yield f"# Curation of {source.name}: {count} rows"
    for check in checks:
        found = {n: verdict for (n, name), verdict in sorted(ledger.verdicts.items()) if name == check.name}
        says = Counter(verdict.says for verdict in found.values())
        yield f"\n## {check.name}: {check.made_of}\n"
        yield f"{len(found)} rows checked: {says['keep']} kept, {says['drop']} dropped, {says['unknown']} unknown."
        reasons = Counter(verdict.why for verdict in found.values() if verdict.says != "keep")
        for reason, number in reasons.most_common():
            yield f"\n- {number} x {reason}"
            shown = [(n, verdict.detail) for n, verdict in found.items() if verdict.why == reason][:SAMPLES]
            for n, detail in shown:
                yield f"    - row {n}: {' '.join(detail.split()) or '(no more to say)'}"


def _fingerprint(row: Any) -> str:
    digest = hashlib.sha256()
    for image in row.get("images") or ():
        digest.update(image["bytes"])
    said = {name: value for name, value in row.items() if name != "images"}
    digest.update(json.dumps(said, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]
