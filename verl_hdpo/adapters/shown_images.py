"""``ShownImages``: which of its tools' images a trajectory shows to the model, and what it says in place of the others.

What a processor, or verl's prompt, does not take would lose the rollout, or the prompt's whole group. Text that stands
for an image would, too: there is none behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy
from PIL import Image
from verl.tools.schemas import ToolResponse

NO_IMAGES_TEXT = "[Images are not shown to this model.]"
THIN_IMAGES_TEXT = "[Images that are 200 times as long as wide, or more, are not shown.]"
TOO_MANY_TEXT = "[An image is not shown: the limit of {limit} images is reached.]"
TOO_LARGE_TEXT = "[An image of {width} x {height} pixels is not shown: {left} pixels are left.]"
IMAGE_TOKENS = ("image_token", "video_token", "vision_start_token", "vision_end_token")
"""Attributes of a processor: texts that it, or the model, takes for an image or part of one."""
LONGEST_TO_SHORTEST = 200
"""Sides of an image; Qwen-VL's processors raise on more (``smart_resize``)."""


class ShownImages:
    """Counts the images of one trajectory, and their pixels.

    Args:
        processor: the model's; None for a model that takes no images.
        limit: most images, the user's included; None for no limit.
        pixel_limit: most pixels of all images together.
        users: the user's images.
    """

    def __init__(
        self, processor: Any, limit: int | None = None, pixel_limit: int | None = None, users: Iterable[Any] = ()
    ):
        self._takes_images = getattr(processor, "image_processor", None) is not None
        self._limit, self._pixel_limit = limit, pixel_limit
        self._tokens = [token for name in IMAGE_TOKENS if isinstance(token := getattr(processor, name, None), str)]
        sizes = [_size(image) for image in users]
        self._images, self._pixels = len(sizes), sum(width * height for width, height in sizes)

    def of(self, response: ToolResponse) -> ToolResponse:
        """``response`` without the images that are not shown, each reason added to its text once.

        Those that are shown are in RGB. A token that stands for an image comes apart: ``< |image_pad| >``. What stands
        around it cannot make another one of it.
        """
        images = list(response.image or ())
        reasons = [self._reason_against(image) for image in images]
        shown = [in_rgb(image) for image, reason in zip(images, reasons, strict=True) if reason is None]
        text = response.text
        for token in self._tokens:
            text = text and text.replace(token, f"{token[0]} {token[1:-1]} {token[-1]}")
        text = "\n".join(filter(None, [text, *dict.fromkeys(reasons)])) or response.text
        return response.model_copy(update={"text": text, "image": shown or None})

    def _reason_against(self, image: Any) -> str | None:
        """Counts the image if there is none."""
        if not self._takes_images:
            return NO_IMAGES_TEXT
        width, height = _size(image)
        if max(width, height) >= LONGEST_TO_SHORTEST * min(width, height):
            return THIN_IMAGES_TEXT
        if self._limit is not None and self._images >= self._limit:
            return TOO_MANY_TEXT.format(limit=self._limit)
        if self._pixel_limit is not None and self._pixels + width * height > self._pixel_limit:
            left = max(self._pixel_limit - self._pixels, 0)
            return TOO_LARGE_TEXT.format(width=width, height=height, left=left)
        self._images += 1
        self._pixels += width * height
        return None


def in_rgb(image: Any) -> Any:
    """A PIL image as processors take it; anything else as it is."""
    if not isinstance(image, Image.Image) or image.mode == "RGB":
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;"):  # more than 8 bits, which PIL would clip
        values = numpy.asarray(image, dtype=float)
        span = max(values.max() - values.min(), 1.0)
        image = Image.fromarray(((values - values.min()) * (255 / span)).astype(numpy.uint8))
    return image.convert("RGB")


def _size(image: Any) -> tuple[int, int]:
    """Width and height; (1, 1) of what has none and is left to the processor."""
    sides = getattr(image, "size", None)
    return sides if isinstance(sides, tuple) else (1, 1)
