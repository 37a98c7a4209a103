"""``calculator`` ``{expression}``: exact arithmetic."""

from __future__ import annotations

from typing import Any

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl.utils.rollout_trace import rollout_trace_op

from verl_hdpo.settings.tool import ToolSettings, read_settings
from verl_hdpo.tools.arguments import text_argument
from verl_hdpo.tools.arithmetic import MAX_CHARS, calculate
from verl_hdpo.tools.schema import text_schema


class CalculatorTool(BaseTool):
    """Works out one expression; see ``verl_hdpo.tools.arithmetic.calculate``."""

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None = None):
        settings = read_settings(ToolSettings, config, "calculator")
        super().__init__(
            config,
            tool_schema
            or text_schema(
                settings.name or "calculator",
                "Work out an arithmetic expression exactly.",
                expression="numbers, + - * / // % ** and brackets",
            ),
        )

    @rollout_trace_op
    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict]:
        """Raises BadCall for what cannot be worked out."""
        return ToolResponse(text=calculate(text_argument(parameters, "expression", MAX_CHARS))), 0.0, {}
