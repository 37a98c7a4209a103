"""How findings are told."""

from __future__ import annotations

from verl_hdpo.runs.finding import Finding, each_once, report, verdict

FOUND = [
    Finding("A", "ok", "one", "1"),
    Finding("A", "FAIL", "three", "not 3\nbut 4", ("do this", "or that")),
    Finding("B", "warn", "x", ""),
]


def test_the_report_is_aligned_and_ends_with_a_verdict():
    assert "\n".join(report(FOUND)) == (
        "\nA\n"
        "  ok    one                   1\n"
        "  FAIL  three                 not 3\n"
        "                              but 4\n"
        "                              -> do this\n"
        "                              -> or that\n"
        "\nB\n"
        "  warn  x"
    )
    assert verdict(FOUND) == "1 problem, 1 warning."
    assert verdict(FOUND[:1]) == "Everything looks right."
    assert verdict(FOUND[2:]) == "1 warning; nothing stands in the way of a run."


def test_a_finding_is_told_before_the_next_is_looked_for():
    def slow():
        yield FOUND[0]
        raise AssertionError("looked too far")

    lines = report(slow())
    assert [next(lines), next(lines)] == ["\nA", "  ok    one                   1"]


def test_what_was_said_before_is_not_said_again():
    assert list(each_once([*FOUND, *FOUND])) == FOUND
