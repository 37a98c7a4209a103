"""``verl-hdpo mcp``: what an MCP server offers, as entries for verl's tool yaml."""

from __future__ import annotations

import asyncio
import json

import click

from verl_hdpo.runs.verl_command import needs_extra


@click.group()
def mcp() -> None:
    """Use the tools of an MCP server."""


@mcp.command()
@click.option("--url", help="Endpoint of a running server.")
@click.option("--header-env", "headers", multiple=True, metavar="HEADER=NAME",
              help="Header to send to --url, and the environment variable with its value.")  # fmt: skip
@click.option("--pass-env", "passed", multiple=True, metavar="NAME", help="Environment variable for COMMAND.")
@click.argument("command", nargs=-1)
def tools(url: str | None, headers: tuple[str, ...], passed: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Print a tool yaml with every tool of a server: one that COMMAND starts, or the one at --url.

    \b
        verl-hdpo mcp tools -- python my_server.py > tools.yaml
        verl-hdpo mcp tools --url https://host/mcp --header-env Authorization=MCP_AUTHORIZATION > tools.yaml
    """
    with needs_extra("tools"):
        from verl_hdpo.tools.mcp_servers.connection import Connection
        from verl_hdpo.tools.mcp_servers.server import Server
    from verl_hdpo.settings.tool import ToolConfigError, read_settings

    if bool(url) == bool(command):
        raise click.UsageError("give either --url or a command")
    server = {"url": url} if url else {"command": command[0], "args": list(command[1:])}
    if headers:
        server["headers_env"] = dict(header.partition("=")[::2] for header in headers)
    if passed:
        server["pass_env"] = list(passed)
    try:
        found = asyncio.run(Connection(read_settings(Server, server, "server")).tools())
    except (ConnectionError, ToolConfigError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"server: {json.dumps(server)}\ntools:")
    for tool in found.values():
        description = " ".join((tool.description or "").split())[:100]
        click.echo(f"  # {description}" if description else "", nl=bool(description))
        click.echo("  - class_name: verl_hdpo.tools.mcp.MCPTool")
        click.echo(f"    config: {{type: native, server: '${{server}}', tool: {json.dumps(tool.name)}}}")
