"""``calculate``: a function tool for arithmetic, with + - * / and brackets on decimal numbers."""

from __future__ import annotations

import re
from fractions import Fraction

from verl.tools.function_tool import function_tool

MAX_CHARS = 64
_NUMBER = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII)


@function_tool
def calculate(expression: str) -> str:
    """Work out an expression.

    Args:
        expression: numbers, + - * / and brackets
    """
    text = str(expression).replace(" ", "").replace(",", "").replace("$", "")
    if len(text) > MAX_CHARS:
        return f"error: more than {MAX_CHARS} characters"
    try:
        value, end = _sum(text, 0)
        if end < len(text):
            raise ValueError(f"unexpected {text[end]!r}")
    except ValueError as error:
        return f"error: {error}"
    except ZeroDivisionError:
        return "error: division by zero"
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.4f}".rstrip("0").rstrip(".")


# The model's text is taken apart, never evaluated; its bounded length bounds the work and the recursion.
def _sum(text: str, at: int) -> tuple[Fraction, int]:
    value, at = _product(text, at)
    while text[at : at + 1] in ("+", "-"):
        right, end = _product(text, at + 1)
        value, at = (value + right if text[at] == "+" else value - right), end
    return value, at


def _product(text: str, at: int) -> tuple[Fraction, int]:
    value, at = _factor(text, at)
    while text[at : at + 1] in ("*", "/"):
        right, end = _factor(text, at + 1)
        value, at = (value * right if text[at] == "*" else value / right), end
    return value, at


def _factor(text: str, at: int) -> tuple[Fraction, int]:
    if text[at : at + 1] == "-":
        value, at = _factor(text, at + 1)
        return -value, at
    if text[at : at + 1] == "(":
        value, at = _sum(text, at + 1)
        if text[at : at + 1] != ")":
            raise ValueError("a bracket is not closed")
        return value, at + 1
    match = _NUMBER.match(text, at)
    if match is None:
        raise ValueError(f"unexpected {text[at]!r}" if at < len(text) else "it ends too early")
    return Fraction(match[0]), match.end()
