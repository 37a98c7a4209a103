"""``data_url``: an image of a prompt as the OpenAI API takes it."""

from __future__ import annotations

import base64
import io
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def data_url(part: Any) -> str:
    """An image as verl's messages hold it (rl_dataset.py, ``_build_messages``).

    Args:
        part: ``{"type": "image", "image": PIL image, path or URL, "bytes": the file}`` or
            ``{"type": "image_url", "image_url": {"url": ...}}``.

    Raises:
        ValueError: it is none of these.
        OSError: the file cannot be read.
    """
    image = part
    if isinstance(part, Mapping):
        image = part.get("bytes") or part.get("image") or part.get("image_url")
    if isinstance(image, Mapping):
        image = image.get("url")
    if isinstance(image, bytes):
        return _encoded(image, _kind(image))
    if isinstance(image, str) and image.startswith(("data:", "http://", "https://")):
        return image
    if isinstance(image, str):
        path = Path(image.removeprefix("file://"))
        return _encoded(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "image/png")
    if hasattr(image, "save"):
        file = io.BytesIO()
        image.save(file, format="PNG")
        return _encoded(file.getvalue(), "image/png")
    raise ValueError(f"an image of type {type(image).__name__} cannot be sent to a server")


def _encoded(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _kind(data: bytes) -> str:
    for start, kind in ((b"\xff\xd8", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp")):
        if data.startswith(start):
            return kind
    return "image/png"
