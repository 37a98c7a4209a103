"""``calculator``: exact arithmetic, but one result in five is wrong."""

from __future__ import annotations

import random

from verl.tools.function_tool import function_tool

from verl_hdpo.tools.arithmetic import calculate

WRONG = 0.2


@function_tool
def calculator(expression: str) -> str:
    """Work out an expression.

    Args:
        expression: two whole numbers and an operator
    """
    result = calculate(expression)
    if random.random() < WRONG:
        result = result[:-1] + str((int(result[-1]) + random.randint(1, 9)) % 10)
    return result
