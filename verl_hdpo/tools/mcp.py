"""Any tool of any MCP server, with the schema that the server gives."""

from __future__ import annotations

from typing import Any

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl.utils.rollout_trace import rollout_trace_op

from verl_hdpo.settings.tool import ToolConfigError, read_settings
from verl_hdpo.tools.arguments import check_object
from verl_hdpo.tools.failures import BadCall
from verl_hdpo.tools.io_loop import on_io_loop, wait_on_io_loop
from verl_hdpo.tools.json_schema import from_json_schema
from verl_hdpo.tools.mcp_servers.connection import START_SECONDS, connection
from verl_hdpo.tools.mcp_servers.content import content_of
from verl_hdpo.tools.mcp_servers.settings import MCPSettings


class MCPTool(BaseTool):
    """One tool of the server in ``config.server``; see ``verl_hdpo.tools.mcp_servers.settings.MCPSettings``.

    Raises:
        ConnectionError: the server cannot be reached.
        ToolConfigError: it has no tool of that name, or an environment variable is not set.
    """

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None = None):
        self._settings = settings = read_settings(MCPSettings, config, "mcp")
        self.ends_within = settings.deadline
        settings.server.prepare()
        self._connection = connection(settings.server.model_dump_json())
        tools = wait_on_io_loop(self._connection.tools(), 2 * START_SECONDS)
        if settings.tool not in tools:
            raise ToolConfigError(
                f"mcp: server {settings.server.label} has no tool {settings.tool!r}, only {', '.join(sorted(tools))}"
            )
        tool = tools[settings.tool]
        super().__init__(
            config,
            tool_schema or from_json_schema(settings.name or tool.name, tool.description or "", tool.input_schema),
        )

    @rollout_trace_op
    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict]:
        """Raises BadCall for what the tool itself calls an error, ToolUnavailable when there is no answer."""
        check_object(parameters)
        settings = self._settings
        result = await on_io_loop(self._connection.call(settings.tool, parameters, settings.deadline))
        text, images = content_of(result, settings.images)
        if result.is_error:
            raise BadCall(text)
        return ToolResponse(text=text, **({"image": images} if images else {})), 0.0, {}
