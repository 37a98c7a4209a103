"""What an MCP tool answered, as text and images."""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

from mcp_types import CallToolResult, EmbeddedResource, ImageContent, ResourceLink, TextContent, TextResourceContents
from PIL import Image

from verl_hdpo.tools.images.image_file import read_image

MAX_PIXELS = 1 << 24
MAX_IMAGES = 8


class Content(NamedTuple):
    text: str
    images: list[Image.Image]


def content_of(result: CallToolResult, with_images: bool) -> Content:
    """The result's blocks in order; what cannot be shown is named in the text.

    Args:
        result: of a tool call.
        with_images: False leaves images out, for models that see none.
    """
    texts: list[str] = []
    images: list[Image.Image] = []
    for block in result.content:
        if isinstance(block, TextContent):
            texts.append(block.text)
        elif isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
            texts.append(block.resource.text)
        elif isinstance(block, ResourceLink):
            texts.append(f"[link: {block.uri}]")
        elif isinstance(block, ImageContent) and with_images and len(images) < MAX_IMAGES:
            image = _image(block.data)
            if image is None:
                texts.append("[an image that cannot be read]")
            else:
                images.append(image)
        else:
            texts.append(f"[{block.type} left out]")
    if not result.content and result.structured_content is not None:
        texts.append(json.dumps(result.structured_content, ensure_ascii=False))
    return Content("\n".join(texts), images)


def _image(data: str) -> Image.Image | None:
    try:
        return read_image(base64.b64decode(data), MAX_PIXELS)
    except ValueError:
        return None
