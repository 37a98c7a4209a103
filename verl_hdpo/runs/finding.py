"""``Finding``: one thing that was looked at, and what to do if it is not as it must be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Mark = Literal["ok", "warn", "FAIL"]

WIDTH = 20
"""Characters of the column of subjects; a longer one moves its line's text to the right."""


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Attributes:
        section: heading under which it is printed.
        mark: ``ok``, ``warn`` (a run may work) or ``FAIL`` (it will not).
        subject: what was looked at.
        found: what is there.
        advice: what to do, one item per problem; empty if nothing.
    """

    section: str
    mark: Mark
    subject: str
    found: str
    advice: tuple[str, ...] = ()


def each_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings without those that say again what one before said."""
    told = set()
    for finding in findings:
        if finding not in told:
            told.add(finding)
            yield finding


def report(findings: Iterable[Finding]) -> Iterator[str]:
    """The findings as lines of text, each as soon as it comes."""
    section = None
    for finding in findings:
        if finding.section != section:
            section = finding.section
            yield f"\n{section}"
        margin = " " * (WIDTH + 10)
        first, *rest = finding.found.splitlines() or [""]
        yield f"  {finding.mark:<4}  {finding.subject:<{WIDTH}}  {first}".rstrip()
        yield from (f"{margin}{line}" for line in rest)
        for advice in finding.advice:
            first, *rest = advice.splitlines()
            yield f"{margin}-> {first}"
            yield from (f"{margin}   {line}" for line in rest)


def print_findings(findings: Iterable[Finding], err: bool = False) -> None:
    """Print :func:`report`, its marks in colour, its texts beside their margin where a terminal is narrow."""
    from verl_hdpo.runs.terminal import MARKS, say

    for line in report(findings):
        mark = line[2:6].strip()
        hang = WIDTH + 10 + (3 if line.lstrip().startswith("->") else 0)
        say(line, MARKS.get(mark, ""), head=6, hang=hang, err=err)


def verdict(findings: Iterable[Finding]) -> str:
    """The last line of the report."""
    marks = [finding.mark for finding in findings]
    failed, warned = marks.count("FAIL"), marks.count("warn")
    if not failed and not warned:
        return "Everything looks right."
    parts = [f"{n} {word}{'s' * (n != 1)}" for n, word in ((failed, "problem"), (warned, "warning")) if n]
    return ", ".join(parts) + ("." if failed else "; nothing stands in the way of a run.")
