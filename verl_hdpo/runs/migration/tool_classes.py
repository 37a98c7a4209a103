"""Tool classes that verl once brought, and those of this package that do the same."""

from __future__ import annotations

from typing import NamedTuple


class Replacement(NamedTuple):
    """A class of this package; empty where there is none, and ``how`` says what to do."""

    class_name: str
    how: str


TOOL_CLASSES: dict[str, Replacement] = {
    "verl.tools.sandbox_fusion_tools.SandboxFusionTool": Replacement(
        "verl_hdpo.tools.python.PythonTool", "in its own sandbox, or with config.runner by a SandboxFusion service"
    ),
    "verl.tools.search_tool.SearchTool": Replacement(
        "verl_hdpo.tools.text_search.TextSearchTool",
        "with config.provider={kind: retrieval_server, url: the old retrieval_service_url}",
    ),
    "verl.tools.mcp_search_tool.MCPSearchTool": Replacement("verl_hdpo.tools.mcp.MCPTool", "with the server in config"),
    "verl.tools.mcp_base_tool.MCPBaseTool": Replacement("verl_hdpo.tools.mcp.MCPTool", "with the server in config"),
    "verl.tools.image_zoom_in_tool.ImageZoomInTool": Replacement(
        "verl_hdpo.tools.python.PythonTool", "where the model crops image_1 with PIL"
    ),
    "verl.tools.gsm8k_tool.Gsm8kTool": Replacement(
        "", "it only graded the answer, which the reward does; verl_hdpo.tools.calculator.CalculatorTool computes"
    ),
    "verl.tools.geo3k_tool.Geo3kTool": Replacement(
        "", "it only graded the answer, which the reward does; verl_hdpo.tools.python.PythonTool computes"
    ),
    "recipe.retool.retool.CustomSandboxFusionTool": Replacement(
        "verl_hdpo.tools.python.PythonTool", "in its own sandbox, or with config.runner by a SandboxFusion service"
    ),
}
"""Class in a tool yaml of verl 0.7 or 0.8 -> what replaces it."""


def replacement(class_name: str) -> str:
    """What to do about a tool class of verl's that is gone; empty if nothing is known of it."""
    if (known := TOOL_CLASSES.get(class_name)) is None:
        return ""
    return f"use {known.class_name}, {known.how}" if known.class_name else known.how
