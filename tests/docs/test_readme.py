"""The README's complete command, with the files that it names: doctor lets it start."""

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from pages import ROOT, TRAINER, blocks, commands
from run_findings import ROW, run_findings
from tiny import save_checkpoint_without_weights


@pytest.fixture
def files(tmp_path, monkeypatch):
    """What the command names, in the working directory."""
    monkeypatch.chdir(tmp_path)
    save_checkpoint_without_weights(Path("model"))
    for name in ("train", "validation"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW] * 256), f"{name}.parquet")
    (tools,) = (code for place, code in blocks("yaml") if place.startswith("docs/tools/calculator.md"))
    Path("tools.yaml").write_text(tools)


def test_doctor_accepts_the_complete_command(files):
    ((_, words),) = (
        (place, words) for place, words in commands() if place.startswith("README.md") and TRAINER in words
    )
    overrides = words[words.index(TRAINER) + 1 :]
    assert "..." not in overrides
    found = run_findings(overrides)
    assert [finding for finding in found if finding.mark == "FAIL"] == []
    said = {finding.subject: finding for finding in found}
    assert said["tools"].found == "calculator" and said["agent loop"].found == "hdpo_tool_agent"


def test_the_projects_that_asked_are_those_of_the_page():
    """The README's links to issues, and those of docs/upstream.md, which says what each gets here."""
    page = (ROOT / "docs" / "upstream.md").read_text()
    asked = (ROOT / "README.md").read_text().split("## Asked for elsewhere")[1].split("\n## ")[0]
    links = {part.split(")")[0] for part in asked.split("](")[1:] if part.startswith("https")}
    assert len(links) > 5 and {link for link in links if link not in page} == set()
    unverified = page.rpartition("Three more")[2]
    assert unverified and "](" not in unverified, "what could not be read is not linked"


def test_the_workflow_of_dependencies_reads_a_list_with_reasons():
    lines = (ROOT / ".github" / "accepted_vulnerabilities.txt").read_text().splitlines()
    accepted = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert all(len(line) == 2 for line in accepted)
    nightly = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text())
    steps = [step.get("run", "") for step in nightly["jobs"]["known-vulnerabilities"]["steps"]]
    assert any("pip_audit" in step and ".github/accepted_vulnerabilities.txt" in step for step in steps)
