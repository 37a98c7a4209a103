"""What a tool server does with requests that are meant to do harm: it answers others, and keeps nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import resource
import socket
import struct
import time
import zlib

import httpx
import pytest
from hang import HANG_SECONDS
from PIL import Image
from tool_servers import TOKEN, http, in_thread, plain_tool

from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.images.image_file import FORMATS, ImageRefused, open_image, read_image
from verl_hdpo.tools.server import http_protocol
from verl_hdpo.tools.server.kept_answers import KeptAnswers
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.server.token import token_from_file

pytestmark = pytest.mark.slow


async def echo(arguments):
    return arguments


async def slow(arguments):
    await asyncio.sleep(1)
    return "at last"


@pytest.fixture(scope="module")
def url():
    tools = [plain_tool("echo", echo), plain_tool("look", echo, Needs(images=True)), plain_tool("slow", slow)]
    with in_thread(tools) as url:
        yield url


def call(url, session, call_id, tool="echo", arguments="x", **more):
    with http(url) as client:
        client.put(f"/sessions/{session}").raise_for_status()
        body = {"tool": tool, "arguments": json.dumps(arguments), **more}
        return client.post(f"/sessions/{session}/calls/{call_id}", json=body)


def connect(url):
    address = httpx.URL(url)
    return socket.create_connection((address.host, address.port), timeout=HANG_SECONDS)


REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\n"
STRANGERS = {
    "sends nothing": (b"", b""),
    "sends a word": (b"GET ", b""),
    "sends half a header": (REQUEST + b"X: " + b"a" * 1000, b"a"),
    "sends its body a byte at a time": (REQUEST + b"Content-Length: 100000\r\n\r\n{", b"a"),
    "sends it in chunks": (REQUEST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "was refused and goes on": (REQUEST.replace(b"health", b"tools") + b"Content-Length: 100000\r\n\r\n", b"a"),
    "asks again and again": (REQUEST + b"\r\n", REQUEST + b"\r\n"),
    "asks for a WebSocket": (
        REQUEST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        REQUEST + b"\r\n",
    ),
}


@pytest.fixture(params=STRANGERS)
def stranger(request):
    """What it sends first, and then again and again."""
    return STRANGERS[request.param]


def test_a_connection_without_the_token_ends_whatever_it_does(stranger, url, monkeypatch):
    monkeypatch.setattr(http_protocol, "STRANGER_SECONDS", 0.5)
    first, more = stranger
    with connect(url) as line:
        line.settimeout(0.1)
        line.sendall(first)
        ends = time.monotonic() + HANG_SECONDS
        while True:
            assert time.monotonic() < ends, "it is still open"
            try:
                line.sendall(more)
                if line.recv(100_000) == b"":
                    break
            except TimeoutError:
                pass
            except ConnectionError:
                break


def test_strangers_together_do_not_keep_others_out(stranger, url, monkeypatch):
    monkeypatch.setattr(http_protocol, "max_strangers", lambda: 20)
    lines = [connect(url) for _ in range(60)]
    try:
        for line in lines:
            with contextlib.suppress(ConnectionError):
                line.sendall(stranger[0])
        with http(url) as client:
            assert client.get("/tools").status_code == 200
        assert sum(map(is_open, lines)) <= 20
    finally:
        for line in lines:
            line.close()


def is_open(line):
    line.setblocking(False)
    try:
        while line.recv(100_000):
            pass
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


def test_who_has_shown_the_token_is_waited_for(url, monkeypatch):
    """A call may take longer than a stranger's connection."""
    monkeypatch.setattr(http_protocol, "STRANGER_SECONDS", 0.2)
    assert call(url, "slow", "1", tool="slow").json()["text"] == "at last"
    with http(url) as client:  # and its connection serves for the next request
        assert [client.get("/tools").status_code for _ in range(3)] == [200] * 3


def test_the_limit_leaves_most_descriptors_to_those_with_the_token():
    assert http_protocol.max_strangers() <= max(8, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)


@pytest.mark.parametrize("second", [f"Bearer {TOKEN}", "Bearer no", ""])
def test_a_token_that_is_given_twice_is_refused(second, url):
    for headers in ([f"Bearer {TOKEN}", second], [second, f"Bearer {TOKEN}"]):
        sent = [("Authorization", value) for value in headers]
        assert httpx.get(f"{url}/tools", headers=sent).status_code == 401


def png(width, height):
    """A PNG that declares this size and has no pixels to speak of."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
XBM = b"#define a_width 8\n#define a_height 1\n"
TEXTS = [b"", b"no image", b"GIF89a", b"\x00" * 100, b"P6 2 2 255\n" + b"a" * 12, XBM]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (png(60_000, 60_000), "too large"),
        (png(12_000, 12_000), "12000 x 12000 pixels is too large"),
        (png(2_000_000_000, 1), "too large"),
        (EPS, "not an image in one of the formats PNG, JPEG"),
        *((data, "not an image") for data in TEXTS),
    ],
)
def test_an_image_that_no_tool_should_see_is_refused_plainly(data, why, url):
    with pytest.raises(ImageRefused, match=why):
        open_image(data)
    sent = {"data": base64.b64encode(data).decode()}
    response = call(url, "images", f"c{hash(data)}", "look", images=[sent])
    assert response.status_code == 422 and why in response.text


def test_base64_that_is_none_is_refused(url):
    assert call(url, "images", "c-none", "look", images=[{"data": "***"}]).status_code == 422


@pytest.mark.parametrize("kind", FORMATS)
def test_the_formats_are_read(kind, tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "image", kind)
    assert read_image((tmp_path / "image").read_bytes()).size == (40, 30)


def test_a_broken_file_is_refused_when_it_is_read():
    with pytest.raises(ImageRefused, match="cannot be decoded"):
        read_image(png(10, 10))


def test_the_oldest_answers_go_when_all_together_are_too_large():
    forgotten, kept = [], KeptAnswers(100)
    for name in "abc":
        kept.add(name, 40, lambda name=name: forgotten.append(name))
    assert (forgotten, kept.bytes) == (["a"], 80)
    kept.release("b")
    kept.release("b")
    assert kept.bytes == 40
    kept.add("huge", 1000, lambda: forgotten.append("huge"))
    assert (forgotten, kept.bytes) == (["a", "c"], 1000)


def test_answers_are_kept_until_they_are_received_or_there_are_too_many():
    big = "x" * (700 << 10)
    with in_thread([plain_tool("echo", echo)], max_kept_mb=1) as url, http(url) as client:
        for session in "abc":
            assert call(url, session, "1", arguments=big).status_code == 200
        assert [client.get(f"/sessions/{session}/calls/1").status_code for session in "abc"] == [410, 410, 200]
        assert call(url, "c", "2", received=["1"]).status_code == 200
        assert client.get("/sessions/c/calls/1").status_code == 410
        assert call(url, "c", "1").status_code == 410, "what was received does not run again"


def test_a_body_that_never_ends_is_refused(url, monkeypatch):
    monkeypatch.setattr("verl_hdpo.tools.server.app.BODY_SECONDS", 0.5)
    with http(url) as client:
        client.put("/sessions/slow").raise_for_status()
    with connect(url) as line:
        head = f"POST /sessions/slow/calls/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        line.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        assert b"408" in line.recv(1000)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_token_file_that_others_can_read_is_refused(mode, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(mode)
    with pytest.raises(ToolConfigError, match=rf"open to other users \(mode {mode:04o}\); chmod 600"):
        token_from_file(file)
    file.chmod(0o600)
    assert token_from_file(file) == TOKEN


def test_a_token_file_of_another_user_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    if file.stat().st_uid == 0:
        os.chown(file, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ToolConfigError, match="open to other users"):
        token_from_file(file)
