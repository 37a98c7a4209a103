"""Every message that the page on errors quotes is one of the code's."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTED = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
OF_VERL = "Please set at least one of"
LEFT_OUT = "\x00"


def texts(path):
    """The texts in a file of code; of an f-string the parts that do not vary, with a mark where others go."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else LEFT_OUT for part in node.values)
            found.append("".join(parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


@pytest.fixture(scope="module")
def said():
    """All texts of this package, as one."""
    return "\n".join(text for path in (ROOT / "verl_hdpo").rglob("*.py") for text in texts(path))


def test_the_page_quotes_messages():
    assert len(QUOTED) > 40 and len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("message", [one for one in QUOTED if OF_VERL not in one])
def test_a_message_is_in_the_code(said, message):
    parts = [part.strip() for part in message.split("...") if part.strip(" :;?")]
    assert parts and [part for part in parts if part not in said] == []


def test_what_is_verl_s_is_in_verl():
    root = Path(find_spec("verl").origin).parent
    (quoted,) = (one for one in QUOTED if OF_VERL in one)
    assert any(OF_VERL in path.read_text() for path in (root / "workers" / "config").glob("*.py"))
    assert quoted.startswith(OF_VERL)


def test_every_row_says_what_to_do():
    rows = [row for row in PAGE.splitlines() if row.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    assert [row for row in cells if len(row) != 3 or not all(row)] == []


def test_the_runbook_and_the_glossary_are_linked():
    assert "](../recipes/runbook.md)" in PAGE
    assert "](troubleshooting.md)" in (ROOT / "docs" / "glossary.md").read_text()
