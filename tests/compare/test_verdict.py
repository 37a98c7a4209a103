"""Where a comparison ended, in words."""

from __future__ import annotations

import pandas

from verl_hdpo.compare.verdict import verdicts
from verl_hdpo.runs.palette import colours


def summary(*rows):
    """(source, variant, metric, values of the seeds)."""
    found = [(*row[:3], sum(row[3]) / len(row[3]), min(row[3]), max(row[3]), len(row[3])) for row in rows]
    table = pandas.DataFrame(found, columns=["source", "variant", "metric", "mean", "min", "max", "count"])
    return table.set_index(["source", "variant", "metric"])


def test_variants_whose_seeds_overlap_with_the_best_are_compared_by_calls():
    (found,) = verdicts(summary(
        ("q", "grpo", "accuracy", [0.9, 0.8]), ("q", "hdpo", "accuracy", [0.82, 0.84]),
        ("q", "x", "accuracy", [0.1, 0.2]), ("q", "grpo", "calls", [1.0]),
        ("q", "hdpo", "calls", [0.1]), ("q", "x", "calls", [0.0]),
    ))  # fmt: skip
    assert (found.accurate, found.thrifty) == (("grpo", "hdpo"), ("hdpo",))
    assert found.words == (
        "q: grpo is the most accurate, with 85.0%; the ranges of hdpo overlap with it. "
        "Of these, hdpo makes the fewest calls, 0.10 per answer; the most is 1.00."
    )


def test_one_that_is_alone_and_what_was_not_measured():
    rows = (("a", "grpo", "accuracy", [0.9]), ("a", "hdpo", "accuracy", [0.8]), ("b", "hdpo", "calls", [1.0]))
    (found,) = verdicts(summary(*rows))
    assert found.words == "a: grpo is the most accurate, with 90.0%." and found.thrifty == ()
    (found,) = verdicts(summary(*rows[:1], ("a", "grpo", "calls", [0.5])))
    assert found.words.endswith("It makes 0.50 calls per answer.")


def test_what_is_equal_when_rounded_is_no_winner():
    rows = [("q", name, "accuracy", [0.9]) for name in "abc"]
    (found,) = verdicts(summary(*rows, *(("q", name, "calls", [0.501]) for name in "abc")))
    assert found.thrifty == () and found.words.endswith("All of these make 0.50 calls per answer.")
    assert "others equal it" in found.words
    (found,) = verdicts(
        summary(*rows, *(("q", name, "calls", [x]) for name, x in zip("abc", (0.1, 0.101, 1), strict=True)))
    )
    assert found.thrifty == ("a", "b") and "a and b make the fewest calls" in found.words


def test_the_same_name_has_the_same_colour_everywhere():
    assert colours(["a", "hdpo"])["hdpo"] == colours(["hdpo", "x", "y"])["hdpo"]
    many = colours(f"v{number}" for number in range(12))
    assert len(set(many.values())) == 12
