"""Answers to try a reward with: the right one in the forms that graders know, a wrong one, and none."""

from __future__ import annotations

from typing import Any

from verl_hdpo.grading.references import UnusableReference, references

FORMS = ("<answer>{}</answer>", "#### {}", "\\boxed{{{}}}", "Answer: {}", "The answer is {}.", "{}")
"""How graders want an answer written: this package's, and those for the data sets that verl knows."""

_WORDS = ("wombat", "cassowary")


def right_text(ground_truth: Any) -> str | None:
    """An answer that ``ground_truth`` accepts; None where it is something else, such as test cases."""
    try:
        return references(ground_truth)[0]
    except UnusableReference:
        return None


def wrong_text(right: str | None) -> str:
    """Another number for a number, another word for anything else."""
    try:
        return str(int(right or "") + 1)
    except ValueError:
        return next(word for word in _WORDS if word not in (right or "").casefold())
