"""``thumbnail``: an image of a dialogue, small enough to be kept with it."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from io import BytesIO
from typing import Any

logger = logging.getLogger(__name__)

SIDE = 384
"""Pixels of the longer side; a photo of that size takes some 20 kB."""


def thumbnail(image: Any) -> str:
    """A ``data:`` URI.

    Args:
        image: PIL's, or a part of a message as verl's data sets hold it (rl_dataset.py, ``_build_messages``). A path or
            a URL stays what it is.
    """
    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("image") or image.get("image_url") or ""
    if isinstance(image, Mapping):
        image = image.get("url") or ""
    if isinstance(image, str):
        return image
    try:
        from PIL import Image

        small = (Image.open(BytesIO(image)) if isinstance(image, bytes) else image).convert("RGB")
        small.thumbnail((SIDE, SIDE))
        written = BytesIO()
        small.save(written, "JPEG", quality=80)
    except Exception:  # what is only kept to be looked at ends no rollout
        logger.warning("an image could not be kept with its rollout", exc_info=True)
        return "an image that could not be read"
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"
