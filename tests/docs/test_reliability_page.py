"""What docs/reliability.md promises is held by tests that there are."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()


@pytest.mark.parametrize(("file", "name"), sorted(set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE))))
def test_a_promise_names_a_test_that_there_is(file, name):
    assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE)


def test_every_row_names_one():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    assert rows and all("::test_" in row for row in rows)
