"""What goes over the socket between a session and its owner: a JSON header, then the raw bytes it announces.

    4 bytes        length of the header, big-endian
    header         JSON object; "blobs": [sizes in bytes]
    blobs          one after the other

Nothing is unpickled or decoded from a file format on the owner's side: texts are UTF-8, images are pixels.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

LENGTH = struct.Struct("!I")
MAX_HEADER = 64 * 1024
BYTES_PER_PIXEL = {"L": 1, "RGB": 3, "RGBA": 4}
"""The image modes that are sent as they are; an image in another mode becomes RGB."""


class FrameError(ValueError):
    """The other side sent what no session sends."""


class Pixels(NamedTuple):
    """An image: PIL mode, width, height, and rows of pixels from the top."""

    mode: str
    width: int
    height: int
    data: bytes


def pack(header: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """One frame."""
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join((LENGTH.pack(len(text)), text, *blobs))


def header_length(prefix: bytes) -> int:
    """The header's length from the first four bytes.

    Raises:
        FrameError: longer than any header.
    """
    (length,) = LENGTH.unpack(prefix)
    if length > MAX_HEADER:
        raise FrameError(f"a header of {length} bytes")
    return length


def read_header(data: bytes, max_bytes: int) -> tuple[dict[str, Any], list[int]]:
    """The header and the sizes of its blobs, which together are at most ``max_bytes``.

    Raises:
        FrameError: no such header.
    """
    try:
        header = json.loads(data)
        sizes = header.pop("blobs")
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise FrameError(f"a header that cannot be read: {type(error).__name__}") from None
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise FrameError("sizes that are no sizes")
    if sum(sizes) > max_bytes:
        raise FrameError(f"{sum(sizes)} bytes where {max_bytes} are allowed")
    return header, sizes


def image_headers(images: Sequence[Pixels]) -> list[list[Any]]:
    """What a header says of images; their data travels as blobs."""
    return [[image.mode, image.width, image.height] for image in images]


def images(headers: Any, blobs: Sequence[bytes], max_pixels: int) -> list[Pixels]:
    """The images of a frame.

    Raises:
        FrameError: a header and its data do not fit, or they have more than ``max_pixels`` together.
    """
    if not isinstance(headers, list) or len(headers) != len(blobs):
        raise FrameError("another number of images than was announced")
    found = []
    for header, data in zip(headers, blobs, strict=True):
        if not (isinstance(header, list) and len(header) == 3 and type(header[0]) is str):
            raise FrameError("an image without mode and size")
        mode, width, height = header
        if mode not in BYTES_PER_PIXEL:
            raise FrameError("an image of unknown mode")
        if not (type(width) is int and type(height) is int and width > 0 and height > 0):
            raise FrameError("an image without size")
        max_pixels -= width * height
        if max_pixels < 0 or width * height * BYTES_PER_PIXEL[mode] != len(data):
            raise FrameError(f"{len(data)} bytes for an image of {width} x {height}")
        found.append(Pixels(mode, width, height, data))
    return found
