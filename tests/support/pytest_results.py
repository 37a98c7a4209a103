"""pytest in a process of its own, and how each of its tests ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

Results = dict[str, tuple[str, str]]
"""Test -> (passed, failed, error or skipped; the first line of its message)."""


def run_pytest(arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> Results:
    """Run pytest, its output passed on; no results at all if it could not collect."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        subprocess.run([sys.executable, "-m", "pytest", *options, *arguments], env=dict(env), cwd=cwd)
        return read(report) if report.exists() else {}


def read(report: Path) -> Results:
    """The tests of a JUnit report, by class and name."""
    results: Results = {}
    for case in ElementTree.parse(report).iter("testcase"):
        outcome, message = "passed", ""
        for kind, name in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
            if (found := case.find(kind)) is not None:
                outcome, message = name, (found.get("message") or "").strip().partition("\n")[0]
        results[f"{case.get('classname')}::{case.get('name')}"] = outcome, message
    return results
