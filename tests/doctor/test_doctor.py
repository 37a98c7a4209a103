"""``verl-hdpo doctor`` as a command: what it prints and in which order, as lines and as data."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from run_findings import findings, overrides

from verl_hdpo import __version__
from verl_hdpo.cli.main import main
from verl_hdpo.doctor import findings as findings_module
from verl_hdpo.doctor import registrations
from verl_hdpo.doctor.estimator_names import known_names
from verl_hdpo.plugin import PARTS
from verl_hdpo.runs import probe as probe_module
from verl_hdpo.runs.finding import Finding


def test_help_and_version_are_quick_and_complete():
    runner = CliRunner()
    assert runner.invoke(main, ["--version"]).output == f"verl-hdpo, version {__version__}\n"
    assert "doctor" in runner.invoke(main, ["--help"]).output
    text = runner.invoke(main, ["doctor", "--help"]).output
    for part in (
        "--config-name",
        "--config-path",
        "--config-dir",
        "--json",
        "+algorithm.hdpo.w_tool=0.1",
        "Exit status",
    ):
        assert part in text


@pytest.mark.parametrize("config_name", ["ppo_trainer", "ppo_megatron_trainer"])
def test_a_complete_run_passes_and_shows_what_was_seen(run, config_name):
    found = findings(run, config_name)
    # Megatron is installed beside the rest, if at all.
    assert {f.mark for f in found if f.subject != "training engine"} == {"ok"}, found
    told = {finding.subject: finding.found for finding in found}
    assert told["algorithm"] == (
        "HDPO: w_acc=1, w_tool=0.1, combine=loss, tool_loss_norm=all, tool_tokens=all, advantages as GRPO's, over std, "
        "T=attempted calls, correct if acc > 0.5"
    )
    assert told["tools"] == "add"
    assert told["reward"] == (
        "'toy': answer '<answer>4</answer>': correct, score 1; answer '<answer>5</answer>': wrong, score 0.1; "
        "empty answer: wrong, score 0"
    )


def doctor(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "verl_hdpo", "doctor", *arguments]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)


def test_every_part_of_the_plugin_is_looked_for():
    assert registrations.REGISTERED.keys() == PARTS.keys()


@pytest.mark.slow
def test_the_command_on_a_complete_run(run):
    done = doctor("--", *overrides(run))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for part in registrations.REGISTERED:
        assert f"  ok    {part} " in done.stdout
    assert "HDPO: w_acc=1, w_tool=0.1" in done.stdout


@pytest.mark.slow
def test_the_command_where_the_plugin_is_turned_off(run):
    done = doctor("--", *overrides(run), VERL_USE_EXTERNAL_PLUGINS="none")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "did not load the plugin" in done.stdout
    assert "unset VERL_USE_EXTERNAL_PLUGINS" in done.stdout
    assert "\nRun\n" not in done.stdout, "nothing can be said about a run"


@pytest.mark.slow
def test_findings_as_data_and_each_mistake_once(run):
    """Mistakes of several kinds, which are told at different times, in one list."""
    run |= {
        "data.val_files": "/no/val.jsonl",
        "algorithm.adv_estimator": "hpdo",
        "+algorithm.hdpo.w_tols": 1,
        "actor_rollout_ref.rollout.multi_turn.format": "llama3_json",
        "critic.enabled": "true",
    }
    done = doctor("--json", "--", *overrides(run))
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert all(set(finding) == {"section", "mark", "subject", "found", "advice"} for finding in found)
    failed = [finding for finding in found if finding["mark"] == "FAIL"]
    assert sorted(finding["found"].partition(" ")[0] for finding in failed) == [
        "/no/val.jsonl",
        "actor_rollout_ref.rollout.multi_turn.format=llama3_json:",
        "algorithm.adv_estimator=hpdo",
        "critic.enabled:",
        "unknown",
    ]
    assert all(isinstance(advice, str) for finding in found for advice in finding["advice"])


GUARD = """
import sys
from importlib.machinery import PathFinder

class Refuse:
    def __init__(self, name):
        self.name = name
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise SystemExit(f"{self.name} was imported")

class Guard:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path) if name in ("torch", "verl") else None
        if spec is not None:
            spec.loader = Refuse(name)
        return spec

sys.meta_path.insert(0, Guard())
"""


@pytest.fixture
def no_torch(monkeypatch, tmp_path):
    """Torch and verl are there, and whoever imports them dies."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return tmp_path


def test_the_algorithms_that_are_known_without_verl_are_those_of_verl():
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    assert known_names() == set(map(str, ADV_ESTIMATOR_REGISTRY))


MISTAKES = {
    "data": ({"data.train_files": "/no/train.parquet"}, "/no/train.parquet does not exist"),
    "data format": ({"data.val_files": "[/no/a.csv]"}, "/no/a.csv is neither .parquet nor .json nor .jsonl"),
    "model": ({"actor_rollout_ref.model.path": "/no/model"}, "/no/model does not exist"),
    "tools": ({"actor_rollout_ref.rollout.multi_turn.tool_config_path": "/no/t.yaml"}, "/no/t.yaml does not exist"),
    "reward": ({"reward.custom_reward_function.path": "/no/r.py"}, "/no/r.py does not exist"),
    "algorithm": ({"algorithm.adv_estimator": "hpdo"}, "did you mean hdpo?"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_the_command_line_tells_is_told_before_anything_is_imported(run, monkeypatch, case):
    """The process that imports verl is not even started when it is printed."""
    change, text = MISTAKES[case]

    def start(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(probe_module, "start", start)
    result = CliRunner().invoke(main, ["doctor", "--", *overrides({**run, **change})])
    first = result.output.index(text)
    assert 0 < first < result.output.index("\nPackages")
    assert "Stopped." in result.output and result.exit_code == 130


@pytest.mark.slow
def test_the_config_and_the_rows_are_looked_at_before_torch_or_verl_is_imported(run, no_torch):
    """With packages that end the process when they are imported, all of that is told."""
    (no_torch / "val.jsonl").write_text(json.dumps({"question": "?"}))
    done = doctor("--", *overrides({**run, "algorithm.nothing": 1, "+algorithm.hdpo.w_tols": 1}), "a.b=1")
    assert done.returncode == 1
    for text in (
        "algorithm.nothing: verl",
        "a.b: verl",
        "did you mean algorithm.hdpo.w_tool?",
        "has no chat under 'prompt'",
    ):
        assert text in done.stdout
    assert "was imported" in done.stdout


def test_the_exit_status_is_that_of_the_findings(monkeypatch):
    for mark, status in (("ok", 0), ("warn", 0), ("FAIL", 1)):
        finding = Finding("Run", mark, "x", "y", ("z",))
        monkeypatch.setattr(findings_module, "probe", lambda *_, finding=finding: [finding, finding])
        for arguments in (["--json"], []):
            result = CliRunner().invoke(main, ["doctor", *arguments])
            assert result.exit_code == status
            assert result.output.count('"subject": "x"' if arguments else "  x  ") == 1
