"""The runbook has an entry for every exception that can end a run."""

import ast
import builtins
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
    "EndsProcessError": "ToolConfigError tells it",
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
BUILT_IN = {
    name for name, found in vars(builtins).items() if isinstance(found, type) and issubclass(found, BaseException)
}
LISTED = {name for entry in ENTRIES for name in re.findall(r"`([A-Z]\w+)`", entry)} - BUILT_IN
QUOTED = {
    (name, quote)
    for name, quotes in re.findall(r'^\| `(\w+)` ((?:"[^"|]+"(?:, )?)+) \|', RUNBOOK, re.MULTILINE)
    for quote in re.findall(r'"([^"]+)"', quotes)
}
"""Built-in exceptions of the runbook, each with a part of its message."""

SETTINGS = "pydantic hands it on, and SettingsError or ToolConfigError tells it"
WALL = "that wall does not work here; SandboxRefused tells why if none does"
CAUGHT_BUILT_IN = {
    ("adapters/watched_tool.py", "RuntimeError"): "the call has failed, and the model is told",
    ("settings/algorithms.py", "ValueError"): SETTINGS,
    ("settings/judge.py", "ValueError"): SETTINGS,
    ("settings/outcomes.py", "ValueError"): SETTINGS,
    ("settings/reward.py", "ValueError"): SETTINGS,
    ("tools/mcp_servers/server.py", "ValueError"): SETTINGS,
    ("tools/sandbox/limits.py", "ValueError"): SETTINGS,
    ("tools/sandbox/settings.py", "ValueError"): SETTINGS,
    ("tools/search/settings.py", "ValueError"): SETTINGS,
    ("tools/sandbox/kernel.py", "OSError"): WALL,
    ("tools/sandbox/machine.py", "OSError"): WALL,
    ("tools/sandbox/seccomp.py", "OSError"): WALL,
    ("tools/sandbox/wall_check.py", "OSError"): WALL,
    ("tools/sandbox/zygote_setup.py", "OSError"): WALL,
    ("tools/sandbox/zygote_setup.py", "RuntimeError"): WALL,
    ("tools/sandbox/interpreter.py", "KeyboardInterrupt"): "ends code of the model that runs too long, in its session",
    ("tools/sandbox/session.py", "OSError"): "the call is unavailable",
    ("tools/sandbox/zygote.py", "OSError"): "the session does not start, and its call is unavailable",
    ("grading/worker_process.py", "EOFError"): "WorkerError tells it",
    ("tools/images/build.py", "FileExistsError"): "verl-hdpo images build",
    ("tools/images/build.py", "LookupError"): "verl-hdpo images build",
    ("tools/images/build.py", "ValueError"): "verl-hdpo images build",
    ("tools/mcp_servers/connection.py", "ConnectionError", "connection lost"): "told as MCP server at start; later "
    "the call is unavailable",
    ("tools/search/index_build.py", "FileExistsError"): "verl-hdpo index build",
    ("tools/search/index_build.py", "OSError"): "verl-hdpo index build",
    ("tools/images/store.py", "KeyError"): "the call is answered without results, or unavailable",
    ("tools/base.py", "NotImplementedError"): "a tool of your own without answer(): every call of it fails",
    ("tools/search/web_provider.py", "TypeError"): "the call is unavailable",
    ("runs/private_cache.py", "ValueError"): "one of FAULTS: a cache without that entry",
}
"""Built-in exceptions, by file and if need be by message, that end no run, and what becomes of them."""


def test_every_exception_has_an_entry_or_a_reason_why_it_ends_no_run():
    assert exceptions() == LISTED | set(CAUGHT)
    assert not LISTED & set(CAUGHT)


def raised():
    """(file, name, literal parts of its message) of each built-in exception that the code of a run raises."""
    for part in (*IN_A_RUN, "cpu"):  # a run without GPUs executes cpu too
        path = ROOT / "verl_hdpo" / part
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Raise) and node.exc is not None:
                    named = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                    if isinstance(named, ast.Name) and named.id in BUILT_IN:
                        texts = [one.value for one in ast.walk(node.exc)
                                 if isinstance(one, ast.Constant) and isinstance(one.value, str)]  # fmt: skip
                        yield str(file.relative_to(ROOT / "verl_hdpo")), named.id, texts


def test_every_built_in_exception_has_an_entry_or_a_reason_why_it_ends_no_run():
    quotes_met, reasons_met = set(), set()
    for file, name, texts in raised():
        quotes = {(of, quote) for of, quote in QUOTED if of == name and any(quote in text for text in texts)}
        reasons = {(file, name), *((file, name, text) for text in texts)} & set(CAUGHT_BUILT_IN)
        assert quotes or reasons, f"{file} raises {name} {texts}: what does it mean for a run?"
        assert not (quotes and reasons), f"{file}: {name} has both an entry and a reason"
        quotes_met |= quotes
        reasons_met |= reasons
    assert quotes_met == QUOTED
    assert reasons_met == set(CAUGHT_BUILT_IN)


def test_the_exceptions_of_start_are_among_them():
    """Those that a person on call meets most often; the scan must not lose them."""
    found = {(file, name) for file, name, _ in raised()}
    assert found >= {
        ("tools/server/client.py", "ConnectionError"), ("tools/mcp_servers/connection.py", "ConnectionError"),
        ("adapters/agent_loop.py", "ValueError"), ("tools/io_loop.py", "TimeoutError"),
    }  # fmt: skip


def test_metrics_and_causes_that_it_names_are_in_the_reference():
    reference = (ROOT / "docs" / "reference.md").read_text() + (ROOT / "docs" / "judge.md").read_text()
    reference += (ROOT / "docs" / "tools" / "server.md").read_text()
    metric = r"`(?:hdpo/)?((?:tool_calls|judge|acc|tool|verl_hdpo_tool)[a-z_/]*?)(?:/p99|\{.*?\})?`"
    for name in re.findall(metric, RUNBOOK):
        assert name.split("/")[-1] in reference, name
