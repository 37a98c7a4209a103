"""Any tool of any MCP server, with the schema that the server gives."""

from __future__ import annotations

from typing import Any

from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.arguments import check_object
from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.failures import BadCall
from verl_hdpo.tools.io_loop import on_io_loop, wait_on_io_loop
from verl_hdpo.tools.mcp_servers.connection import MCP_START_SECONDS, PING_SECONDS, connection
from verl_hdpo.tools.mcp_servers.content import content_of
from verl_hdpo.tools.mcp_servers.settings import MCPSettings
from verl_hdpo.tools.schema import Signature


class MCPTool(Tool):
    """One tool of the server in ``config.server``; see ``verl_hdpo.tools.mcp_servers.settings.MCPSettings``.

    Raises:
        ConnectionError: the server cannot be reached.
        ToolConfigError: it has no tool of that name, or an environment variable is not set.
    """

    kind = "mcp"
    settings_class = MCPSettings

    def prepare(self, settings: MCPSettings) -> None:
        self._settings, self.ends_within = settings, settings.deadline + PING_SECONDS
        settings.server.prepare()
        self._connection = connection(settings.server.model_dump_json())
        tools = wait_on_io_loop(self._connection.tools(), 2 * MCP_START_SECONDS)
        if settings.tool not in tools:
            raise ToolConfigError(
                f"mcp: server {settings.server.label} has no tool {settings.tool!r}, only {', '.join(sorted(tools))}"
            )
        tool = tools[settings.tool]
        self.signature = Signature.of_json_schema(tool.name, tool.description or "", tool.input_schema)

    async def answer(self, arguments: Any, call: Call) -> Answer:
        """What the tool itself calls an error is a BadCall."""
        check_object(arguments)
        settings = self._settings
        result = await on_io_loop(self._connection.call(settings.tool, arguments, settings.deadline))
        text, images = content_of(result, settings.images)
        if result.is_error:
            raise BadCall(text or "the server does not say why")
        return Answer(text, images)
