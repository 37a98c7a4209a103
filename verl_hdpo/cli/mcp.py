"""``verl-hdpo mcp``: what an MCP server offers, as entries for verl's tool yaml."""

from __future__ import annotations

import click

from verl_hdpo.cli.address import ADDRESS
from verl_hdpo.runs.verl_command import needs_extra


@click.group()
def mcp() -> None:
    """Use the tools of an MCP server."""


@mcp.command(short_help="Print a tool yaml with every tool of a server.")
@click.option("--url", type=ADDRESS, metavar="URL", help="Endpoint of a running server.")
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
    if bool(url) == bool(command):
        raise click.UsageError("give either --url or a command")
    with needs_extra("tools"):
        from verl_hdpo.runs.terminal import show_code
        from verl_hdpo.tools.mcp_servers.tool_yaml import server_settings, tool_yaml
    show_code(tool_yaml(server_settings(url, headers, passed, command)), "yaml")
