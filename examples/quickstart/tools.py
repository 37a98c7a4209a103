"""``calculator``: the one tool of the quickstart, a op b on whole numbers."""

from __future__ import annotations

import operator
import re

from verl.tools.function_tool import function_tool

MAX_DIGITS = 12
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_EXPRESSION = re.compile(rf"(\d{{1,{MAX_DIGITS}}})([-+*/])(\d{{1,{MAX_DIGITS}}})", re.ASCII)


@function_tool
def calculator(expression: str) -> str:
    """Work out an expression.

    Args:
        expression: two whole numbers and an operator
    """
    # The model's text is matched and taken apart, never evaluated; bounded digits bound the work.
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None:
        return "error: not an expression of two whole numbers"
    left, symbol, right = int(match[1]), match[2], int(match[3])
    if symbol == "/" and right == 0:
        return "error: division by zero"
    if symbol == "/" and left % right == 0:
        return str(left // right)
    return str(_OPERATORS[symbol](left, right))
