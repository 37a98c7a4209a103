"""A real MCP server, with tools that do what tools do: ``demo_mcp_server.py [PORT]``; stdio without a port.

Over HTTP it wants ``Authorization: token-1``.
"""

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
from typing import Annotated

import uvicorn
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp_types import EmbeddedResource, ResourceLink, TextResourceContents
from PIL import Image as Pillow
from pydantic import Field

server = MCPServer("demo", log_level="CRITICAL")


@server.tool()
def add(
    a: Annotated[int, Field(description="first")],
    b: int = 2,
    scale: float | None = None,
    tags: list[str] | None = None,
) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def look_up(city: str) -> str:
    """Fails."""
    raise ValueError(f"no such city: {city}")


@server.tool()
def refuse(code: int) -> str:
    """Answers with a JSON-RPC error."""
    raise MCPError(code, f"refused with {code}")


@server.tool()
async def wait(seconds: float) -> str:
    """Take that long."""
    await asyncio.sleep(seconds)
    return "waited"


@server.tool()
def die() -> str:
    """End the server."""
    os._exit(3)


@server.tool()
def pid() -> int:
    """The server's process."""
    return os.getpid()


@server.tool()
def environment() -> dict[str, str]:
    """What it was given."""
    return dict(os.environ)


@server.tool()
def picture() -> Image:
    """A red square."""
    data = io.BytesIO()
    Pillow.new("RGB", (40, 30), "red").save(data, "PNG")
    return Image(data=data.getvalue(), format="png")


@server.tool()
def papers() -> list[EmbeddedResource | ResourceLink]:
    """A document and a link."""
    document = TextResourceContents(uri="file:///a", text="the text of a")
    return [
        EmbeddedResource(type="resource", resource=document),
        ResourceLink(type="resource_link", name="b", uri="file:///b"),
    ]


@server.tool()
def spawn_stubborn() -> int:
    """Start a process that leaves the session and ignores every polite signal."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
    child.stdout.readline()
    return child.pid


@server.tool()
def hang_on_close() -> int:
    """Let no session end from now on; the server's process."""
    TokenWanted.hangs_on_close = True
    threading.Thread(target=threading.Event().wait).start()  # outlives the end of standard input
    return os.getpid()


class TokenWanted:
    """ASGI: 401 without the token."""

    hangs_on_close = False

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and (b"authorization", b"token-1") not in scope["headers"]:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        if self.hangs_on_close and scope.get("method") == "DELETE":
            await asyncio.Event().wait()
        await self.app(scope, receive, send)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN if len(sys.argv) == 1 else signal.SIG_DFL)
    if len(sys.argv) == 1:
        server.run("stdio")
    else:
        app = TokenWanted(server.streamable_http_app())
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
