"""The settings of one tool of an MCP server."""

from __future__ import annotations

from pydantic import Field

from verl_hdpo.settings.tool import ToolSettings
from verl_hdpo.tools.mcp_servers.server import Server


class MCPSettings(ToolSettings):
    """The ``config`` of the MCP tool.

    Attributes:
        server: where the tool is.
        tool: its name there.
        deadline: seconds a call may take, connecting included; then the tool is unavailable.
        images: hand images on to the model, which must be able to see them.
    """

    server: Server
    tool: str
    deadline: float = Field(default=120.0, gt=0)
    images: bool = False
