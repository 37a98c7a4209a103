"""The key under which a sample's image search is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any


def image_key(data: bytes) -> str:
    """SHA-256 of an encoded image file, in hex: the key of a sample that names none."""
    return hashlib.sha256(data).hexdigest()


def key_in_messages(messages: Iterable[Mapping[str, Any]]) -> str | None:
    """``image_key`` of the first image in a prompt; None when there is none with its encoded bytes.

    verl keeps the bytes of a parquet's ``images: [{bytes}]`` in the message (verl/utils/dataset/rl_dataset.py,
    ``_build_messages``); images that the data set decodes itself have none.
    """
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, Mapping) and part.get("type") == "image":
                data = part.get("bytes")
                return image_key(data) if isinstance(data, bytes) else None
    return None
