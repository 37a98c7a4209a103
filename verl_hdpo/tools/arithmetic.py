"""Exact arithmetic on what a model wrote: + - * / // % ** and brackets on decimal numbers.

The text is parsed, never evaluated. Values are rationals, so the result is the same on every machine.
"""

from __future__ import annotations

import ast
import operator
from decimal import Context, Decimal
from fractions import Fraction

from verl_hdpo.tools.failures import BadCall

MAX_CHARS = 200
"""Bounds the depth of the expression, and with ``MAX_BITS`` the work."""

MAX_BITS = 4096
"""Most bits of any value's numerator or denominator."""

DIGITS = 15
"""Significant digits of a result that is no whole number."""

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**", ",": "", "$": ""})


def calculate(expression: str) -> str:
    """The value of ``expression``: a whole number in full, any other to ``DIGITS`` significant digits.

    ``^`` is a power; commas and dollar signs are left out.

    Raises:
        BadCall: not an expression, division by zero, a fractional exponent, or too large.
    """
    if len(expression) > MAX_CHARS:
        raise BadCall(f"the expression is longer than {MAX_CHARS} characters")
    text = expression.translate(_SPELLINGS).strip()
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise BadCall(f"not an arithmetic expression: {expression!r}") from None
    value = _value(tree.body, text)
    if value.denominator == 1:
        return str(value.numerator)
    digits = Context(prec=DIGITS)
    rounded = digits.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(digits)
    return f"{rounded:f}" if -DIGITS <= rounded.adjusted() < DIGITS else f"{rounded:e}"


def _value(node: ast.expr, text: str) -> Fraction:
    """The value of ``node``, a part of ``text``."""
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return Fraction(number)
        case ast.Constant(value=float()):
            return _decimal(ast.get_source_segment(text, node) or "")
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, text)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, text)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _bounded(_power(_value(left, text), _value(right, text)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            try:
                return _bounded(Fraction(_OPERATORS[type(op)](_value(left, text), _value(right, text))))
            except ZeroDivisionError:
                raise BadCall("division by zero") from None
    raise BadCall("only numbers, + - * / // % ** and brackets can be worked out")


def _decimal(literal: str) -> Fraction:
    """All digits of ``literal``, of which a float would keep some 17."""
    try:
        number = Decimal(literal)
    except ArithmeticError:  # an exponent beyond those of Decimal
        raise BadCall("a number is too large") from None
    if abs(number.adjusted()) > MAX_BITS:  # before 10 to that power is worked out
        raise BadCall("a number is too large")
    return _bounded(Fraction(number))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise BadCall("an exponent must be a whole number")
    if base == 0 and exponent < 0:
        raise BadCall("division by zero")
    # An n-bit value to the power e has more than (n - 1) e bits.
    if (_bits(base) - 1) * abs(exponent) > MAX_BITS:
        raise BadCall("the result is too large")
    return base ** int(exponent)


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > MAX_BITS:
        raise BadCall("the result is too large")
    return value


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())
