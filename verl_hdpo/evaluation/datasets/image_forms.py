"""An image in the forms that data sets have it in, as verl's: ``{"bytes": the file}``.

Forms: a file's bytes, base64 with or without ``data:``, a path, a PIL image, and objects with one of them under
``bytes``, ``path``, ``image``, ``image_url`` or ``url``.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from verl_hdpo.runs.row_images import RowProblem

KEYS = ("bytes", "path", "image", "image_url", "url", "file_name")
"""Of an object, in the order in which they count."""
ADDRESSES = ("http://", "https://")
LONGEST_PATH = 4096
ADVICE = "write it as bytes, base64, a path or a PIL image"


def verl_image(value: Any, folder: Path) -> dict[str, bytes] | RowProblem:
    """The image as a row for verl has it.

    Args:
        folder: that a relative path starts from.

    Returns:
        A problem where there is none; what is wrong inside a file is for ``row_image_problems``.
    """
    if isinstance(value, Mapping):
        inner = next((value[key] for key in KEYS if value.get(key) is not None), None)
        return verl_image(inner, folder)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": bytes(value)}
    if isinstance(value, Image.Image):
        return {"bytes": as_png(value)}
    if isinstance(value, str):
        return _of_text(value.strip(), folder)
    return RowProblem("FAIL", f"is {type(value).__name__}, not an image", ADVICE)


def as_png(image: Image.Image) -> bytes:
    """The file of an image that is open."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _of_text(text: str, folder: Path) -> dict[str, bytes] | RowProblem:
    if text.startswith(ADDRESSES):
        return RowProblem("FAIL", f"is an address, {text:.60}", "download it: a run should not wait for another server")
    if text.startswith("data:"):
        return _decoded(text.partition("base64,")[2]) or RowProblem("FAIL", "is not valid base64", "encode it again")
    if len(text) <= LONGEST_PATH and "\0" not in text:
        path = folder / Path(text.removeprefix("file://")).expanduser()
        try:
            return {"bytes": path.read_bytes()}
        except OSError:
            pass  # too long for a name, or not there
    return _decoded(text) or RowProblem("FAIL", f"is missing: the file {text!r:.60} does not exist", "correct the path")


def _decoded(text: str) -> dict[str, bytes] | None:
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return {"bytes": data} if data else None
