"""``verl-hdpo doctor``: what it finds of the installation."""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.requirements import Requirement

from verl_hdpo.doctor import environment, registrations
from verl_hdpo.doctor.findings import all_findings
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.verl_command import VerlConfig


def with_versions(monkeypatch, **versions: str | None) -> dict[str, Finding]:
    real = metadata.version

    def version(name: str) -> str:
        found = versions[name] if name in versions else real(name)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(environment.metadata, "version", version)
    return {finding.subject: finding for finding in environment.packages()}


def test_this_environment_has_what_it_needs(monkeypatch):
    found = with_versions(monkeypatch)
    assert {finding.mark for finding in found.values()} == {"ok"}
    assert set(environment.SHOWN) < set(found)


def test_without_verl_that_is_all_there_is_to_say(monkeypatch):
    with_versions(monkeypatch, verl=None)
    failed = [finding for finding in all_findings(VerlConfig(), ["a=1"]) if finding.mark == "FAIL"]
    assert [(finding.subject, finding.found) for finding in failed] == [("verl", "not installed; verl-hdpo needs it")]


def test_another_verl_is_not_supported(monkeypatch):
    finding = with_versions(monkeypatch, verl="0.8.0")["verl"]
    required = map(Requirement, metadata.requires("verl-hdpo"))
    [wanted] = [str(one.specifier) for one in required if one.name == "verl" and not one.marker]
    assert ">=0.9.0" in wanted
    assert (finding.mark, finding.found) == ("FAIL", f"0.8.0; verl-hdpo needs {wanted}")
    assert finding.advice == (f"pip install 'verl{wanted}'",)


@pytest.mark.parametrize("name", ["TransferQueue", "cachetools", "fastapi", "uvicorn", "orjson", "math-verify"])
def test_what_verl_needs_and_does_not_always_list_is_missed(monkeypatch, name):
    finding = with_versions(monkeypatch, **{name: None})[name]
    assert finding.mark == "FAIL"
    assert finding.found.startswith("not installed; verl-hdpo needs it")
    assert finding.advice[0].startswith(f"pip install '{name}")


def test_verl_s_own_requirements_are_checked(monkeypatch):
    finding = with_versions(monkeypatch, transformers="5.12.0")["transformers"]
    assert finding.mark == "FAIL"
    assert "verl needs" in finding.found
    assert "<5.11" in finding.advice[0]


def test_no_rollout_engine(monkeypatch):
    finding = with_versions(monkeypatch, **dict.fromkeys(environment.ENGINES))["vllm"]
    assert finding.mark == "warn"
    assert "pip install 'verl-hdpo[gpu]'" in finding.advice[0]


def test_an_engine_other_than_verl_s(monkeypatch):
    engines = {**dict.fromkeys(environment.ENGINES), "vllm": "0.10.0"}
    finding = with_versions(monkeypatch, **engines)["rollout engine"]
    assert finding.mark == "warn"
    assert "was released with vllm==" in finding.advice[0]


def policy(monkeypatch, value: str | None, platform: str = "") -> Finding:
    monkeypatch.setenv("VERL_PLATFORM", platform)
    if value is None:
        monkeypatch.delenv(environment.POLICY, raising=False)
    else:
        monkeypatch.setenv(environment.POLICY, value)
    return {finding.subject: finding for finding in environment.plugin_policy()}[environment.POLICY]


def test_a_policy_that_excludes_the_plugin(monkeypatch):
    assert policy(monkeypatch, None).mark == "ok"
    assert policy(monkeypatch, "hdpo,other").mark == "ok"
    finding = policy(monkeypatch, "none")
    assert (finding.mark, finding.found) == ("FAIL", "'none' keeps verl from loading hdpo")
    assert policy(monkeypatch, "other").mark == "FAIL"
    assert policy(monkeypatch, "hdpo", platform="cpu").found == "'hdpo' keeps verl from loading hdpo_cpu"


def test_a_missing_entry_point(monkeypatch):
    monkeypatch.setattr(environment.metadata, "entry_points", lambda group: ())
    finding = next(environment.plugin_policy())
    assert (finding.mark, finding.found) == ("FAIL", "verl.plugins: none")
    assert "pip install" in finding.advice[0]


def test_a_torchvision_built_for_another_torch(monkeypatch, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    (finding,) = registrations.torchvision()
    assert finding.mark == "FAIL"
    assert "operator torchvision::nms does not exist" in finding.found
    assert "pip uninstall torchvision" in finding.advice[0]
