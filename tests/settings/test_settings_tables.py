"""The reference's tables of settings are those of the code."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GENERATE = runpy.run_path(str(DOCS / "generate.py"))


def test_the_pages_are_as_the_code_has_them():
    pages = {path: path.read_text() for path in DOCS.rglob("*.md")}
    stale = [path.name for path, text in pages.items() if GENERATE["generated"](text) != text]
    assert not stale, f"python docs/generate.py brings up to date: {stale}"


def test_every_group_has_its_table():
    found = [name for path in DOCS.rglob("*.md") for _, name, _ in GENERATE["MARKED"].findall(path.read_text())]
    assert sorted(found) == sorted(GENERATE["GROUPS"])


def test_every_table_of_changes_is_on_a_page():
    found = [name for path in DOCS.rglob("*.md") for _, name, _ in GENERATE["CHANGED"].findall(path.read_text())]
    assert sorted(found) == sorted(GENERATE["CHANGES"])


@pytest.mark.parametrize("name", GENERATE["GROUPS"])
def test_every_field_has_a_description(name):
    bare = [key for key, field in GENERATE["GROUPS"][name].model_fields.items() if not field.description]
    assert not bare
