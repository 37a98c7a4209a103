"""Which MCP server, and how to reach it: a command to start (stdio) or a URL (streamable HTTP)."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import Field, model_validator

from verl_hdpo.settings.tool import Settings, ToolConfigError
from verl_hdpo.tools.mcp_servers.valid_messages import make_body_valid, with_valid_messages

TETHER = Path(__file__).with_name("tether.py")

CONNECT_SECONDS = 10.0
"""How long an HTTP connection may take; how long a call may take is the caller's deadline."""

MAX_EVENT_BYTES = 64 << 20
"""Of an answer over HTTP; the SDK's own limit of 1 MiB would be the model's mistake."""


class Server(Settings):
    """One server: ``command`` or ``url``.

    Attributes:
        command: program to start; its standard input and output are the connection.
        args: its arguments.
        cwd: its working directory.
        pass_env: names of environment variables that it is given; HOME, PATH and the like are given anyway, nothing
            else is.
        url: endpoint of a running server, ``https://host/mcp``.
        headers_env: HTTP header -> environment variable that holds its value.
    """

    command: str | None = None
    args: list[str] = Field(default_factory=list)
    cwd: Path | None = None
    pass_env: list[str] = Field(default_factory=list)
    url: str | None = Field(default=None, pattern=r"^https?://[^\s/]+")
    headers_env: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> Server:
        if (self.command is None) == (self.url is None):
            raise ValueError("a server has either a command or a url")
        return self

    @property
    def label(self) -> str:
        """For messages; without arguments, which may hold secrets."""
        return self.url or str(self.command)

    def prepare(self) -> None:
        """Check once, when a tool is made, what does not depend on the server.

        Raises:
            ToolConfigError: an environment variable that is to be passed is not set, or the command does not exist.
        """
        if self.command is not None and not self._program():
            raise ToolConfigError(f"mcp: cannot start {self.command}: no such file, or it cannot be executed")
        for name in (*self.pass_env, *self.headers_env.values()):
            if not os.environ.get(name):
                raise ToolConfigError(f"mcp: the environment variable {name} is not set")

    def _program(self) -> str | None:
        """The command's file; one with a slash is found from ``cwd``."""
        command = str(self.command)
        return shutil.which(str((self.cwd or Path()) / command) if "/" in command else command)

    def client(self) -> Client:
        """A client that connects when it is entered."""
        if self.url is not None:
            headers = {header: os.environ[name] for header, name in self.headers_env.items()}
            return Client(_http_transport(self.url, headers))
        env = {name: os.environ[name] for name in self.pass_env}
        tethered = ["-I", "-S", str(TETHER), str(self.command), *self.args]
        parameters = StdioServerParameters(
            command=sys.executable, args=tethered, env=env, cwd=self.cwd, encoding_error_handler="replace"
        )
        return Client(with_valid_messages(stdio_client(parameters)))


@asynccontextmanager
async def _http_transport(url: str, headers: dict[str, str]) -> AsyncIterator[Any]:
    timeout = httpx2.Timeout(CONNECT_SECONDS, read=None)
    headers = {"Accept-Encoding": "identity", **headers}
    http = httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks={"response": [make_body_valid]})
    client = streamable_http_client(url, http_client=http, max_sse_event_size=MAX_EVENT_BYTES)
    async with http, client as streams:
        yield streams
