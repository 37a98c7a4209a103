"""The images of a row, as verl's data set will read them: what is wrong with them, before a run finds out.

verl/utils/dataset/rl_dataset.py, ``_build_messages``, puts a row's images in the places of ``<image>`` in its prompt.
qwen_vl_utils opens and resizes them when the row is drawn; there an exception ends the run, or loses the prompt.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

PLACEHOLDER = "<image>"
LONGEST_TO_SHORTEST = 200
"""Sides of an image, above which Qwen-VL's processors raise."""
ORIENTATION = 0x0112
"""EXIF's number of it."""


class RowProblem(NamedTuple):
    """What is wrong with a row's images.

    Attributes:
        mark: "FAIL" if a run ends there, "warn" if it goes on, and the model sees something else than a person does.
    """

    mark: Literal["FAIL", "warn"]
    found: str
    advice: str


def row_image_problems(
    row: Mapping[str, Any], prompt_key: str = "prompt", image_key: str = "images", decode: bool = True
) -> Iterator[RowProblem]:
    """What is wrong with the images of one row.

    Args:
        decode: whether to decode each image, without which only its header is read.
    """
    images = row.get(image_key)
    if images is not None and not isinstance(images, list | tuple):
        found = f"has {image_key} that is {type(images).__name__}, not a list"
        yield RowProblem("FAIL", found, 'write it as a list: [{"bytes": ...}]')
        return
    images = list(images or ())
    placeholders = _placeholders(row.get(prompt_key))
    if placeholders and not images and image_key in row:
        found = f"has no image, and the model is shown {PLACEHOLDER} as a text"
        yield RowProblem("warn", found, "give it its images, or leave the row out")
    elif images and placeholders != len(images):
        found = f"has {len(images)} images and {PLACEHOLDER} {placeholders} times in the prompt's texts"
        yield RowProblem("FAIL", found, f"write {PLACEHOLDER} once for each image, where it belongs")
    for number, image in enumerate(images):
        for mark, found, advice in _image_problems(image, decode):
            yield RowProblem(mark, f"has image {number} that {found}", advice)


def _placeholders(prompt: Any) -> int:
    """How often a prompt asks for an image; verl looks into texts only."""
    messages = prompt if isinstance(prompt, list | tuple) else ()
    contents = [message.get("content") for message in messages if isinstance(message, Mapping)]
    return sum(content.count(PLACEHOLDER) for content in contents if isinstance(content, str))


def _image_problems(image: Any, decode: bool) -> Iterator[RowProblem]:
    from PIL import Image

    source = _source(image)
    if isinstance(source, RowProblem):
        yield source
        return
    if source is None:  # fetched when it is needed
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(source) as opened:
                yield from _opened_problems(opened)
                if decode:
                    opened.load()
        except Image.DecompressionBombError as error:
            yield RowProblem("FAIL", f"is too large: {error}", "make it smaller")
        except FileNotFoundError:
            yield RowProblem("FAIL", "is missing: there is no such file", "correct the path, or leave the row out")
        except Exception as error:  # Pillow's decoders raise whatever their formats suggest
            why = "cannot identify it" if isinstance(error, Image.UnidentifiedImageError) else str(error)
            yield RowProblem("FAIL", f"cannot be read: {why}", "write the image again, or leave the row out")


def _source(image: Any) -> io.BytesIO | Path | RowProblem | None:
    """What to open; None for an address, and for an image that is open."""
    from PIL import Image

    known = '{"bytes": ...}, {"image": path}, or a path'
    if isinstance(image, Image.Image):
        return None
    if isinstance(image, Mapping):
        if "bytes" in image:  # verl reads these, whatever else there is
            if not isinstance(image["bytes"], bytes):
                found = f"has bytes that are {type(image['bytes']).__name__}"
                return RowProblem("FAIL", found, "put the file's content under bytes, or leave the key out")
            return io.BytesIO(image["bytes"])
        image = image.get("image", image.get("image_url"))
    if isinstance(image, Image.Image):
        return None
    if not isinstance(image, str):
        return RowProblem("FAIL", f"is {type(image).__name__}, not an image", f"write it as {known}")
    return _named(image)


def _named(name: str) -> io.BytesIO | Path | RowProblem | None:
    """What a path or an address stands for (qwen_vl_utils/vision_process.py, ``fetch_image``)."""
    if name.startswith(("http://", "https://")):
        return None
    if name.startswith("data:image"):
        import base64

        try:
            return io.BytesIO(base64.b64decode(name.partition("base64,")[2]))
        except ValueError as error:
            return RowProblem("FAIL", f"is not valid base64: {error}", "encode it again")
    return Path(name.removeprefix("file://"))


def _opened_problems(image: Any) -> Iterator[RowProblem]:
    from PIL import Image

    width, height = image.size
    if max(width, height) > LONGEST_TO_SHORTEST * min(width, height):
        found = f"is {width} x {height} pixels: more than {LONGEST_TO_SHORTEST} times as long as wide"
        yield RowProblem("FAIL", found, "cut it, or leave the row out")
    most = Image.MAX_IMAGE_PIXELS
    if most and width * height > most:
        yield RowProblem("warn", f"is huge, above {most} pixels: decoding takes gigabytes", "make it smaller")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        yield RowProblem("warn", "has more than 8 bits, of which verl clips all above 255 to white", "scale it to 8")
    elif image.mode == "CMYK":
        yield RowProblem("warn", "is in CMYK: its colours change in RGB", "convert it to RGB by its profile")
    if getattr(image, "n_frames", 1) > 1:
        yield RowProblem("warn", "is animated: the model sees its first frame alone", "keep that frame")
    if image.getexif().get(ORIENTATION, 1) not in (0, 1):
        yield RowProblem("warn", "is turned by EXIF, which verl does not follow", "turn its pixels")
