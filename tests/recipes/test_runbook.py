"""The runbook has an entry for every exception that can end a run."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "recipes" / "runbook.md").read_text()

IN_A_RUN = ("adapters", "algorithm", "grading", "outcomes", "settings", "tools", "plugin.py", "runs/private_cache.py")
"""What a training run executes; the commands tell their mistakes themselves, before or after it."""

CAUGHT = {
    "BadCall": "the model is told",
    "Busy": "a client asks again",
    "CorpusError": "verl-hdpo index build",
    "Fault": "the judge asks again, or the outcome is unknown",
    "FrameError": "a session is ended",
    "ImageRefused": "the model is told, or the row is left out",
    "LabelledError": "verl-hdpo grade",
    "ProviderError": "the call is unavailable",
    "Refused": "a tool server's answer to one request",
    "ResultsError": "verl-hdpo images build",
    "RewardFunctionError": "the outcome is unknown",
    "SessionLost": "the call is unavailable",
    "StartError": "the call is unavailable",
    "ToolUnavailable": "the outcome is unknown",
    "TooLarge": "the answer is compared in another way",
    "TooManyServers": "verl-hdpo size",
    "TransientError": "a client asks again",
    "TrialError": "verl-hdpo tools call",
    "Unreachable": "a client asks again",
    "WorkerError": "the outcome is unknown",
    "WorkerOverLimit": "the outcome is unknown",
    "WorkerStalled": "the outcome is unknown",
    "NoValue": "the answer is compared in another way",
    "NoShape": "the answer is compared in another way",
    "UnreadableFormula": "the answer is compared in another way",
}
"""Exceptions that end no run, and what becomes of them."""


def exceptions():
    """Names of the exception classes in the code of a run, but those that a module keeps to itself."""
    classes = {}
    for part in IN_A_RUN:
        path = ROOT / "verl_hdpo" / part
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    classes[node.name] = [ast.unparse(base) for base in node.bases]

    def is_exception(name):
        bases = classes.get(name)
        return bool(re.search("(Error|Exception)$", name)) if bases is None else any(map(is_exception, bases))

    return {name for name in classes if is_exception(name)}


ENTRIES = set(re.findall(r"^\| (`\w+`(?:, `\w+`)*)", RUNBOOK, re.MULTILINE))
LISTED = {name for entry in ENTRIES for name in re.findall(r"`([A-Z]\w+)`", entry)} - {"RuntimeError"}


def test_every_exception_has_an_entry_or_a_reason_why_it_ends_no_run():
    assert exceptions() == LISTED | set(CAUGHT)
    assert not LISTED & set(CAUGHT)


def test_metrics_and_causes_that_it_names_are_in_the_reference():
    reference = (ROOT / "docs" / "reference.md").read_text() + (ROOT / "docs" / "judge.md").read_text()
    reference += (ROOT / "docs" / "tools" / "server.md").read_text()
    metric = r"`(?:hdpo/)?((?:tool_calls|judge|acc|tool|verl_hdpo_tool)[a-z_/]*?)(?:/p99|\{.*?\})?`"
    for name in re.findall(metric, RUNBOOK):
        assert name.split("/")[-1] in reference, name
