"""The task: read the digit in a picture. It fills the picture, or is a speck in a corner.

A picture has 256 x 256 pixels, and the processor makes it 64 x 64. The speck, 10 pixels high, is 2.5 then, which nobody
can read; the grey label under it can be seen. Cut out of the original, it can be read.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from PIL import Image, ImageDraw, ImageFont

SIDE, SEEN, CROP = 256, 64, 16
"""Pixels along a side: of a picture, of what the model sees of it, and of a corner that can be cut out."""
QUESTION = "Which digit?"
DIGITS = "0123456789"

TRAIN, VALIDATION = 400, 192
"""Pictures for RL, and of each kind for validation."""

Kind = Literal["not_needed", "needed"]
Box = tuple[int, int, int, int]

_FAR = SIDE - CROP
REGIONS: dict[str, Box] = {
    "all": (0, 0, SIDE, SIDE),
    "top left": (0, 0, CROP, CROP),
    "top right": (_FAR, 0, SIDE, CROP),
    "bottom left": (0, _FAR, CROP, SIDE),
    "bottom right": (_FAR, _FAR, SIDE, SIDE),
}
"""What ``zoom`` can show: left, top, right and bottom of each region, in pixels of the picture."""


@dataclass(frozen=True)
class Picture:
    """``kind`` says whether the model needs a tool to read ``digit``, and ``region`` is where that stands."""

    kind: Kind
    digit: str
    region: str
    image: Image.Image

    def row(self, index: int) -> dict[str, Any]:
        """The picture in the columns that verl's RLHFDataset reads."""
        file = io.BytesIO()
        self.image.save(file, "PNG")
        return {
            "data_source": self.kind,
            "prompt": [{"role": "user", "content": f"<image>{QUESTION}"}],
            "images": [{"bytes": file.getvalue()}],
            "ability": "vision",
            "reward_model": {"style": "rule", "ground_truth": self.digit},
            "extra_info": {"index": index},
        }


def draw(kind: Kind, rng: random.Random) -> Picture:
    """A new picture; digit, size, place and greys are random."""
    digit = rng.choice(DIGITS)
    if kind == "not_needed":
        region, size = "all", rng.randint(240, 290)
    else:
        region, size = rng.choice([name for name in REGIONS if name != "all"]), rng.randint(14, 16)
    left, top, right, bottom = _extent(digit, size)
    width, height = right - left, bottom - top
    if kind == "not_needed":
        x, y = ((SIDE - length) // 2 + rng.randint(-16, 16) for length in (width, height))
    else:
        x, y = (
            edge + rng.randint(1, CROP - length - 1)
            for edge, length in zip(REGIONS[region][:2], (width, height), strict=True)
        )
    paper, ink = rng.randint(200, 255), rng.randint(0, 60)
    image = Image.new("RGB", (SIDE, SIDE), (paper,) * 3)
    if kind == "needed":
        image.paste((paper - 70,) * 3, REGIONS[region])
    ImageDraw.Draw(image).text((x - left, y - top), digit, font=_font(size), fill=(ink,) * 3)
    return Picture(kind, digit, region, image)


def deal(seed: int) -> dict[str, list[Picture]]:
    """The pictures of both stages; of those for RL three in four are readable, where the signal is."""
    rng = random.Random(f"rl {seed}")
    return {
        "train": [draw("needed" if index % 4 == 0 else "not_needed", rng) for index in range(TRAIN)],
        "validation": [draw(kind, rng) for kind in get_args(Kind) for _ in range(VALIDATION)],
    }


def enlarged(image: Image.Image, region: str) -> Image.Image:
    """``region`` of a picture, at the size that the model sees."""
    return image.crop(REGIONS[region]).resize((SEEN, SEEN), Image.Resampling.BICUBIC)


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)  # Pillow's own: no font file is needed


@cache
def _extent(digit: str, size: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), digit, font=_font(size))
    return left, top, right, bottom
