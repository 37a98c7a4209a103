"""A session's main loop: takes calls off its socket, answers each with what it left."""

from __future__ import annotations

import socket
import sys
from typing import Any, BinaryIO

from verl_hdpo.tools.sandbox import frames
from verl_hdpo.tools.sandbox.interpreter import Interpreter
from verl_hdpo.tools.sandbox.limits import Limits


def serve(connection: socket.socket, limits: Limits) -> None:
    """Answer calls until the owner closes the connection."""
    interpreter = Interpreter(limits)
    stream = connection.makefile("rb")
    connection.sendall(frames.pack({"ready": True}))
    while (request := _receive(stream)) is not None:
        header, blobs = request
        code, *pixels = blobs
        for name, (mode, width, height), data in zip(header["names"], header["images"], pixels, strict=True):
            interpreter.namespace[name] = _image(mode, width, height, data)
        outcome = interpreter.run(code.decode())
        answer = {
            "call": header["call"],
            "status": outcome.status,
            "images": frames.image_headers(outcome.images),
        }
        texts = [outcome.stdout, outcome.stderr, outcome.value, outcome.error]
        connection.sendall(frames.pack(answer, texts + [image.data for image in outcome.images]))


def _image(mode: str, width: int, height: int, data: bytes) -> Any:
    from PIL import Image

    return Image.frombytes(mode, (width, height), data)


def _receive(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]] | None:
    prefix = stream.read(frames.LENGTH.size)
    if not prefix:
        return None
    (length,) = frames.LENGTH.unpack(prefix)
    header, sizes = frames.read_header(stream.read(length), sys.maxsize)
    return header, [stream.read(size) for size in sizes]
