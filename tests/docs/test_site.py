"""The site builds without a broken link, and every page of docs can be found in it."""

import subprocess
import sys

import pytest
import yaml
from pages import ROOT, prose

READ_FIRST = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]


def navigation(entry):
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [page for one in inner for page in navigation(one)]


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    first = (tmp_path / "site" / "index.html").read_text()
    assert "algorithm.adv_estimator=hdpo" in first
    assert (tmp_path / "site" / "repository" / "verl_hdpo" / "algorithm" / "advantages.py" / "index.html").exists()


def test_every_page_is_in_the_navigation():
    class Loader(yaml.SafeLoader):
        """Reads what mkdocs names by Python's own tags as nothing."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    listed = set(navigation(yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]))
    here = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    decisions = {page for page in here if page.startswith("adr/") and page != "adr/README.md"}
    outside = {page for page in listed if page.startswith("repository/")}
    assert listed - outside == here - decisions | {"index.md"}
    assert all((ROOT / page.removeprefix("repository/")).is_file() for page in outside)


@pytest.mark.parametrize("page", READ_FIRST, ids=lambda page: page.name)
def test_no_sentence_is_too_long_to_be_read_once(page):
    sentences = [sentence for part in prose(page) for sentence in part.replace(":", ".").replace("?", ".").split(". ")]
    assert [sentence for sentence in sentences if len(sentence.split()) > 35] == []
