"""``calculator`` ``{expression}``: exact arithmetic."""

from __future__ import annotations

from typing import Any

from verl_hdpo.tools.arguments import text_argument
from verl_hdpo.tools.arithmetic import MAX_CHARS, calculate
from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.schema import Signature


class CalculatorTool(Tool):
    """Works out one expression; see ``verl_hdpo.tools.arithmetic.calculate``."""

    kind = "calculator"
    signature = Signature.of_texts(
        "calculator",
        "Work out an arithmetic expression exactly.",
        expression="numbers, + - * / // % ** and brackets",
    )

    async def answer(self, arguments: Any, call: Call) -> Answer:
        return Answer(calculate(text_argument(arguments, "expression", MAX_CHARS)))
