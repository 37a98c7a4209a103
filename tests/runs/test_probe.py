"""The process that imports verl: its findings come one by one, and however it ends is told."""

from __future__ import annotations

import sys

import pytest

from verl_hdpo.runs import probe as probe_module
from verl_hdpo.runs import tree_clock
from verl_hdpo.runs.probe import probe
from verl_hdpo.runs.verl_command import VerlConfig

WRITES = """
import json, os, sys, time
def write(**fields):
    with open(sys.argv[2], "a") as out:
        out.write(json.dumps(fields) + "\\n")
def finding(n):
    write(section="S", mark="ok", subject=str(n), found="", advice=["a"])
"""


@pytest.fixture
def check(monkeypatch):
    """``check(code)``: probe with a process that runs ``code``."""

    def with_code(code: str, **options):
        monkeypatch.setattr(probe_module, "CHECK", [sys.executable, "-c", WRITES + code])
        return probe(VerlConfig(), {}, **options)

    return with_code


def test_findings_come_while_the_process_runs(check, tmp_path):
    """The process waits for a file that is only written once its first finding was read."""
    go = tmp_path / "go"
    steps = []
    findings = check(
        f"finding(1); write(doing='slow import')\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nfinding(2)",
        doing=steps.append,
    )
    assert next(findings).subject == "1"
    go.touch()
    assert [finding.subject for finding in findings] == ["2"]
    assert steps == ["slow import"]


def test_a_process_that_dies_is_told_with_what_it_was_doing(check):
    *_, last = check("finding(1); write(doing='importing x'); print('as broken packages do', flush=True); os._exit(3)")
    assert (last.mark, last.subject) == ("FAIL", "fresh process")
    assert "importing x: the check ended with status 3" in last.found
    assert "as broken packages do" in last.found


def test_a_process_that_makes_no_progress_is_ended(check, monkeypatch):
    monkeypatch.setattr(tree_clock, "LOOK_SECONDS", 0.05)
    _, last = check("finding(1); write(doing='asking a judge'); time.sleep(600)", stall=1.0)
    assert "asking a judge: the check made no progress for 1 seconds" in last.found


@pytest.mark.slow
def test_a_process_that_is_slow_is_not_ended_while_it_gets_on(check, monkeypatch):
    """Three times the limit in all, and never the limit without a finding, a step or a word."""
    monkeypatch.setattr(tree_clock, "LOOK_SECONDS", 0.05)
    code = "for n in range(8):\n    finding(n); time.sleep(0.3); print(n, flush=True); time.sleep(0.3)"
    assert [finding.subject for finding in check(code, stall=1.5)] == [str(n) for n in range(8)]


def test_it_ends_when_the_caller_has_heard_enough(check, tmp_path):
    mark = tmp_path / "ended"
    code = f"""
import signal
def leave(*_):
    open({str(mark)!r}, "w"); os._exit(0)
signal.signal(signal.SIGTERM, leave)
finding(1)
time.sleep(600)
"""
    findings = check(code)
    next(findings)
    findings.close()
    assert mark.exists()
