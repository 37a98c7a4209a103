"""``tool_yaml``: a verl tool yaml with every tool of an MCP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from verl_hdpo.settings.tool import read_settings
from verl_hdpo.tools.mcp_servers.connection import Connection
from verl_hdpo.tools.mcp_servers.server import Server


def server_settings(
    url: str | None, headers: Sequence[str], passed: Sequence[str], command: Sequence[str]
) -> dict[str, Any]:
    """The entry ``server`` of a tool's config.

    Args:
        headers: ``HEADER=NAME``, with the environment variable that holds the header's value.
        passed: environment variables for ``command``.
    """
    server: dict[str, Any] = {"url": url} if url else {"command": command[0], "args": list(command[1:])}
    if headers:
        server["headers_env"] = dict(header.partition("=")[::2] for header in headers)
    if passed:
        server["pass_env"] = list(passed)
    return server


def tool_yaml(server: Mapping[str, Any]) -> list[str]:
    """Its lines, with what the server says of each tool as a comment.

    Raises:
        ToolConfigError: settings of no server, or an environment variable that is not set.
        ConnectionError: no server, or it does not answer.
    """
    settings = read_settings(Server, server, "server")
    settings.prepare()
    lines = [f"server: {json.dumps(server)}", "tools:"]
    for tool in asyncio.run(Connection(settings).tools()).values():
        if description := " ".join((tool.description or "").split())[:100]:
            lines.append(f"  # {description}")
        lines.append("  - class_name: verl_hdpo.tools.mcp.MCPTool")
        lines.append(f"    config: {{type: native, server: '${{server}}', tool: {json.dumps(tool.name)}}}")
    return lines
