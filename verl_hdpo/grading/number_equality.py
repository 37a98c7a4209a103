"""Whether two numbers as they are written are one: units, percent, and rounding."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from verl_hdpo.grading.numbers import Number
from verl_hdpo.grading.units import Unit
from verl_hdpo.settings.policy import Policy

DEGREE = Unit(Fraction(1), {"deg": 1})
FLOAT_DIGITS, FLOAT_ERROR = (15, 17), Fraction(1, 10**12)
"""A decimal of so many digits was printed from a binary number, and is true to that."""


def same_number(reference: Number, answer: Number, policy: Policy) -> bool:
    """Whether ``answer`` is ``reference``; a unit that only one of them has is taken for the other's too."""
    if reference.ordinal != answer.ordinal:
        return False
    if reference.unit and policy.units != "optional" and not answer.unit:
        return False
    if reference.unit and policy.units == "as_written" and reference.unit != answer.unit:
        return False
    is_whole = reference.value.denominator == 1 and not (reference.divided or reference.percent)
    if answer.divided and is_whole and not policy.arithmetic:
        return False  # left to do
    found = answer.value
    if reference.unit and answer.unit:
        if answer.unit == DEGREE and reference.unit.dims.keys() <= {"degC", "degF"}:
            return _close(reference, answer, found, policy)
        if not reference.unit.measures_as(answer.unit):
            return False
        found *= answer.unit.factor / reference.unit.factor
    elif answer.unit and answer.unit.dims.keys() == {"USD"} and answer.unit.factor < 1:  # 75 cents for 0.75 or 75
        return any(_close(reference, answer, one, policy) for one in (found, found * answer.unit.factor))
    if reference.percent != answer.percent:
        percent, plain = (reference, answer) if reference.percent else (answer, reference)
        # 50% is 0.5, and 50 where the question asks for percent; 0.5% is not 0.5.
        as_written = policy.percent == "either" and abs(percent.value) >= 1 and percent.value == plain.value
        return as_written or percent.value / 100 == plain.value
    return _close(reference, answer, found, policy)


def is_rounded(decimal: Number, value: Any, policy: Policy) -> bool:
    """Whether ``decimal`` is ``value``, rounded to the places it has, which must be enough to tell."""
    if not policy.rounded_digits or not decimal.digits or decimal.digits < policy.rounded_digits or not decimal.places:
        return False
    half = Fraction(1, 2 * 10**decimal.places)
    low, high = decimal.value - half, decimal.value + half
    if isinstance(value, Fraction):
        return low <= value <= high
    return bool(low.numerator <= value * low.denominator and value * high.denominator <= high.numerator)


def _close(reference: Number, answer: Number, found: Fraction, policy: Policy) -> bool:
    wanted = reference.value
    if wanted == found:
        return True
    printed = any(
        one.digits and FLOAT_DIGITS[0] <= one.digits <= FLOAT_DIGITS[1] and one.places for one in (reference, answer)
    )
    if printed and reference.places and abs(wanted - found) <= FLOAT_ERROR * abs(wanted):
        return True
    if reference.digits is None and answer.digits is not None and found == answer.value:
        return is_rounded(answer, wanted, policy)
    return reference.digits is not None and answer.digits is None and is_rounded(reference, found, policy)
