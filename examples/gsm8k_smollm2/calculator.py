"""``calculate``: this package's exact arithmetic as a function tool."""

from __future__ import annotations

from verl.tools.function_tool import function_tool

from verl_hdpo.tools import arithmetic as calculator


@function_tool
def calculate(expression: str) -> str:
    """Work out an expression.

    Args:
        expression: numbers, + - * / and brackets
    """
    return calculator.calculate(expression)
