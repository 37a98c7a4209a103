"""Exact arithmetic, against trees that are worked out while they are drawn; what must be refused, and its cost."""

import contextlib
import math
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verl_hdpo.tools.arithmetic import DIGITS, MAX_BITS, MAX_CHARS, calculate
from verl_hdpo.tools.failures import BadCall

LEAVES = st.integers(0, 999).map(lambda n: (str(n), Fraction(n))) | st.decimals(0, 99, places=2, allow_nan=False).map(
    lambda d: (str(d), Fraction(d))
)


def combined(pair):
    """``(text, value)`` of ``(left) op (right)``; None where there is no value."""

    def apply(left, op, right):
        (a, x), (b, y) = left, right
        if x is None or y is None or (op in ("/", "//", "%") and y == 0):
            return f"({a}) {op} ({b})", None
        value = {
            "+": lambda: x + y,
            "-": lambda: x - y,
            "*": lambda: x * y,
            "/": lambda: x / y,
            "//": lambda: Fraction(math.floor(x / y)),
            "%": lambda: x - y * math.floor(x / y),
        }[op]()
        return f"({a}) {op} ({b})", value

    return st.builds(apply, pair, st.sampled_from(["+", "-", "*", "/", "//", "%"]), pair)


@settings(max_examples=300, deadline=None)
@given(st.recursive(LEAVES, combined, max_leaves=8))
@pytest.mark.slow
def test_the_value_is_that_of_the_tree(case):
    text, value = case
    if len(text) > MAX_CHARS:
        return
    if value is None:
        with pytest.raises(BadCall, match="division by zero"):
            calculate(text)
    elif value.denominator == 1:
        assert calculate(text) == str(value.numerator)
    else:
        assert abs(Fraction(calculate(text)) - value) <= abs(value) * Fraction(10) ** (1 - DIGITS)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("2^10", "1024"),
        ("2 ** -2", "0.25"),
        ("-2 ** 2", "-4"),
        ("0.1 + 0.2", "0.3"),
        ("1/3", "0.333333333333333"),
        ("10 / 4", "2.5"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("$1,250 × 2 ÷ 5", "500"),
        ("1e-20 * 3", "3e-20"),
        ("123456789012345 / 10", "12345678901234.5"),
        ("0 ** 0", "1"),
        ("(-1) ** (10 ** 50 + 1)", "-1"),
        # digits that a float has no room for
        ("12345678901234567.5 * 2", "24691357802469135"),
        ("100000000000000000000.25 - 100000000000000000000", "0.25"),
        ("0.1234567890123456789 * 10**19", "1234567890123456789"),
        ("1.5e400 / 1.5e399", "10"),
        ("1_000.5 * 2", "2001"),
    ],
)
def test_results(expression, result):
    assert calculate(expression) == result


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "not an arithmetic expression"),
        ("2 +", "not an arithmetic expression"),
        ("1; 2", "not an arithmetic expression"),
        ("1\x002", "not an arithmetic expression"),
        ("(" * 99 + "1" + ")" * 98, "not an arithmetic expression"),
        ("a + 1", "only numbers"),
        ("__import__('os').system('true')", "only numbers"),
        ("().__class__", "only numbers"),
        ("[1 for _ in (1,)]", "only numbers"),
        ("lambda: 1", "only numbers"),
        ("(x := 1)", "only numbers"),
        ("True + 1", "only numbers"),
        ("1j", "only numbers"),
        ("'a' * 9", "only numbers"),
        ("1 << 99", "only numbers"),
        ("1 < 2", "only numbers"),
        ("1 / 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("5 % (2 - 2)", "division by zero"),
        ("2 ** 0.5", "whole number"),
        ("9 ** 9 ** 9", "too large"),
        ("2 ** 4000 * 2 ** 4000", "too large"),
        ("(3 / 2) ** 99999", "too large"),
        ("1e9999", "too large"),
        ("1e-9999", "too large"),
        ("0e999999999", "too large"),
        ("1e99999999999999999999", "too large"),
        ("1" * (MAX_CHARS + 1), "longer than"),
    ],
)
def test_what_is_refused(expression, message):
    with pytest.raises(BadCall, match=message):
        calculate(expression)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789.eE+-*/%() ^,", max_size=MAX_CHARS))
def test_any_text_has_a_short_result_or_is_refused(text):
    used = time.thread_time()
    with contextlib.suppress(BadCall):
        assert len(calculate(text)) <= MAX_BITS * math.log10(2) + 2
    assert time.thread_time() - used < 1.0
