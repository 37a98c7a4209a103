"""Images that verl would show otherwise than a person sees them, written again: turned, in RGB, 8 bits, one frame."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy
from PIL import Image, ImageOps

from verl_hdpo.evaluation.datasets.image_forms import as_png

ORIENTATION = 0x0112


def mended(image: Any) -> Any:
    """``{"bytes": ...}`` as a person sees it; as it was where nothing is to be done, or cannot be done without a guess.

    Of 32 bits a pixel nothing says which value is white: such images stay as they are.
    """
    data = image.get("bytes") if isinstance(image, dict) else None
    if not isinstance(data, bytes):
        return image
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data)) as opened:
                return {"bytes": as_png(_mended(opened))} if _is_odd(opened) else image
        except Exception:  # it is broken, which row_image_problems tells
            return image


def _is_odd(image: Image.Image) -> bool:
    turned = image.getexif().get(ORIENTATION, 1) not in (0, 1)
    deep = image.mode.startswith("I;16")
    return turned or deep or image.mode == "CMYK" or getattr(image, "n_frames", 1) > 1


def _mended(image: Image.Image) -> Image.Image:
    found: Image.Image = ImageOps.exif_transpose(image)
    if found.mode.startswith("I;16"):
        found = Image.fromarray((numpy.asarray(found) // 257).astype(numpy.uint8))
    return found if found.mode in ("RGB", "RGBA", "L") else found.convert("RGB")
