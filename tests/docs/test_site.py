"""The site builds without a broken link, and every page of docs can be found in it."""

import functools
import subprocess
import sys

import pytest
import yaml
from browser import browser, wait_for
from pages import ROOT, prose

READ_FIRST = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]


def navigation(entry):
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [page for one in inner for page in navigation(one)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(site):
    first = (site / "index.html").read_text()
    assert "algorithm.adv_estimator=hdpo" in first
    assert (site / "repository" / "verl_hdpo" / "algorithm" / "advantages.py" / "index.html").exists()


LOOKED_AT = """(() => {
    // innerWidth grows with what is too wide on a phone.
    const screenWidth = document.documentElement.clientWidth;
    const shown = (node) => node.getClientRects().length > 0;
    const wide = [...document.querySelectorAll('.md-content *')].filter((node) => {
        if (!shown(node) || node.getBoundingClientRect().right <= screenWidth + 1) return false;
        for (let at = node; at && at !== document.body; at = at.parentElement)
            if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(at).overflowX)) return false;
        return true;
    });
    const rgb = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const light = (colour) => rgb(colour).reduce((sum, part, at) => sum + part * [0.299, 0.587, 0.114][at], 0) / 255;
    const body = getComputedStyle(document.body);
    return {
        scheme: document.body.dataset.mdColorScheme,
        ground: light(body.backgroundColor),
        text: light(getComputedStyle(document.querySelector('.md-typeset')).color),
        overflow: document.documentElement.scrollWidth - screenWidth,
        wide: wide.slice(0, 3).map((node) => node.outerHTML.slice(0, 120)),
        broken: [...document.images].filter((it) => !it.complete || !it.naturalWidth).map((it) => it.src),
        ids: [...document.querySelectorAll('[id]')].map((node) => node.id),
        links: [...document.querySelectorAll('a[href]')].map((node) => node.href),
    };
})()"""
SCREENS = [
    pytest.param(390, False, id="narrow, light"),
    pytest.param(390, True, id="narrow, dark"),
    pytest.param(1280, False, id="wide, light"),
    pytest.param(1280, True, id="wide, dark"),
]


@pytest.fixture(scope="module")
def looked_at(site):
    """``looked_at(width, dark)``: page -> what the browser found there.

    Files of code are all made alike, so that a few stand for all.
    """
    pages = sorted(site.rglob("index.html"))
    code = [page for page in pages if page.parent.name.endswith((".py", ".sh", ".yaml", ".yml", ".toml"))]

    @functools.cache
    def look(width, dark):
        found = {}
        with browser(width=width, dark=dark) as driver:
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            for page in pages:
                if page not in code[3:]:
                    driver.get(page.as_uri())
                    wait_for(driver, "document.readyState === 'complete'")
                    found[page] = wait_for(driver, LOOKED_AT)
        return found

    return look


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_every_page_fits_the_screen(site, looked_at, width, dark):
    wrong = []
    for page, found in looked_at(width, dark).items():
        name = page.parent.relative_to(site).as_posix()
        if found["overflow"] > 0 or found["wide"]:
            wrong.append(f"{name}: {found['overflow']} px too wide: {found['wide']}")
        if found["broken"]:
            wrong.append(f"{name}: images that cannot be shown: {found['broken']}")
        dark_shown = found["ground"] < 0.4 < 0.5 < found["text"]
        light_shown = found["text"] < 0.5 < 0.6 < found["ground"]
        if found["scheme"] != ("slate" if dark else "default") or not (dark_shown if dark else light_shown):
            wrong.append(f"{name}: {found['scheme']}, text {found['text']:.2f} on {found['ground']:.2f}")
    assert len(looked_at(width, dark)) > 40 and not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_no_link_leads_to_a_missing_anchor(site, looked_at):
    pages = {page.parent.as_uri() + "/": found for page, found in looked_at(1280, False).items()}
    dead = []
    for page, found in pages.items():
        for link in found["links"]:
            target, _, anchor = link.partition("#")
            target = target.removesuffix("index.html")
            if anchor and target in pages and anchor not in pages[target]["ids"]:
                dead.append(f"{page.removeprefix(site.as_uri())}: {link.removeprefix(site.as_uri())}")
    assert not dead, "\n".join(dead)


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
