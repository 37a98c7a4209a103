"""Tool servers for tests: in a thread of this process, as a process of their own, and behind a line that breaks."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import uvicorn

from verl_hdpo.tools.server import TOKEN_ENV
from verl_hdpo.tools.server.app import make_app
from verl_hdpo.tools.server.http_protocol import guards
from verl_hdpo.tools.server.messages import CallResult
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.server.sessions import ServedTool
from verl_hdpo.tools.server.settings import ServerSettings

TOKEN = "a token of the tests, for no other use".replace(" ", "-")


def plain_tool(name, function, needs=None):
    """A served tool around ``async function(arguments)``, which returns a text."""

    async def run(conversation, arguments, create_kwargs):
        return CallResult(status="ok", text=str(await function(arguments)))

    return ServedTool(name, {"function": {"name": name, "description": "", "parameters": {}}}, needs or Needs(), run)


@contextlib.contextmanager
def in_thread(tools, port=0, **settings):
    """URL of a server in this process."""
    app = make_app(tools, ServerSettings(**settings), TOKEN)
    listening = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, **guards(TOKEN)))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextlib.contextmanager
def as_process(config, log, port=0):
    """Process and URL of ``verl-hdpo tool-server``; killed at the end if it still runs."""
    command = [sys.executable, "-c", "from verl_hdpo.cli.main import main; main()", "tool-server"]
    with open(log, "w") as out:
        process = subprocess.Popen(
            [*command, "--config", str(config), "--port", str(port)],
            env={**os.environ, TOKEN_ENV: TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        while not (found := re.search(r"running on (http://[\d.:]+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield process, found[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def breaking_line(url, is_cut):
    """URL of a relay to ``url``; where ``is_cut(request line)``, the server's answer is thrown away."""
    host, port = url.removeprefix("http://").split(":")
    listening = socket.create_server(("127.0.0.1", 0))

    def relay(client):
        with client, socket.create_connection((host, int(port))) as server:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = int((re.search(rb"content-length: (\d+)", head.lower()) or [0, 0])[1])
            while len(body) < length:
                body += client.recv(65536)
            head = re.sub(rb"(?i)connection: keep-alive", b"Connection: close", head)
            server.sendall(head + b"\r\n\r\n" + body)
            answer = b"".join(iter(lambda: server.recv(65536), b""))
            if not is_cut(head.partition(b"\r\n")[0].decode()):
                client.sendall(answer)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=relay, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def http(url):
    """A client that has the token; without certificates, whose loading takes longest."""
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, verify=False)


def metric(url, line):
    """Value of a metric, 0 if it is not there."""
    with http(url) as client:
        for found in client.get("/metrics").text.splitlines():
            if found.startswith(line + " "):
                return float(found.rpartition(" ")[2])
    return 0.0
