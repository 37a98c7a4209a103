"""Image files that came from outside: a short list of formats, and a limit on pixels before any is decoded."""

from __future__ import annotations

import io
import warnings

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Pillow would try all it knows; some start programs of the host (EPS: Ghostscript) or are seldom looked after."""

MAX_PIXELS = 1 << 26
"""8192 x 8192: 200 MB once decoded."""


class ImageRefused(ValueError):
    """Not an image, of another format, or too large; the message says which."""


def open_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in a file, its pixels not yet read.

    Raises:
        ImageRefused: see there.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is stricter
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageRefused(f"an image is too large: {error}") from None
    except Exception as error:  # Pillow raises what its decoders raise
        why = "" if isinstance(error, Image.UnidentifiedImageError) else f": {error}"
        raise ImageRefused(f"not an image in one of the formats {', '.join(FORMATS)}{why}") from None
    if image.width * image.height > max_pixels:
        raise ImageRefused(
            f"an image of {image.width} x {image.height} pixels is too large: at most {max_pixels} pixels"
        )
    return image


def read_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in a file, as RGB.

    Raises:
        ImageRefused: as for :func:`open_image`, or the file is broken.
    """
    image = open_image(data, max_pixels)
    try:
        return image.convert("RGB")
    except Exception as error:
        raise ImageRefused(f"an image cannot be decoded: {error}") from None
