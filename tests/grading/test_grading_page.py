"""The table of what counts as the same, as the docs show it, is what the grader does."""

import asyncio
import re
from pathlib import Path

import pytest

from verl_hdpo.grading.question import Question
from verl_hdpo.grading.rules import RuleChecker

PAGE = Path(__file__).parents[2] / "docs" / "grading.md"
ROWS = [
    (re.findall("`(.+?)`", reference)[0], answer, verdict.strip())
    for reference, answers, verdict, _ in re.findall(
        r"^\| (`.+?`) \| (.+?) \| (\w+) \| (.+?) \|$", PAGE.read_text(), re.M
    )
    for answer in re.findall("`(.+?)`", answers)
]


def test_the_page_has_its_table():
    assert len(ROWS) >= 15


@pytest.mark.parametrize(("reference", "answer", "verdict"), ROWS)
def test_what_the_page_says_is_so(reference, answer, verdict):
    outcome = asyncio.run(RuleChecker()(answer, reference, Question(""), {}))
    assert outcome.known and ("right" if outcome.acc else "wrong") == verdict
