"""Every test that the page on failures names is there."""

import re

import pytest
from pages import ROOT

NAMED = re.findall(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)", (ROOT / "docs" / "reliability.md").read_text())


def test_every_promise_names_a_test():
    page = (ROOT / "docs" / "reliability.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("|") and not row.startswith(("| when", "|---"))]
    assert rows and [row for row in rows if "](../tests/" not in row.split("|")[3]] == []


@pytest.mark.parametrize(("name", "file"), sorted(set(NAMED)))
def test_a_test_that_is_named_is_there(name, file):
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
