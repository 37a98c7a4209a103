"""Images as data sets have them, and rows with one: whole, odd and broken."""

from __future__ import annotations

import base64
import io
import random
import struct
import zlib
from typing import Any

from PIL import Image

ORIENTATION = 0x0112


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn(mode: str, size: tuple[int, int], rng: random.Random) -> Image.Image:
    noise = Image.frombytes("L", size, rng.randbytes(size[0] * size[1]))
    return noise.convert("RGB").convert(mode) if mode not in ("I;16", "I", "F") else noise.convert("I").convert(mode)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b""))
    )


def turned(rng: random.Random) -> bytes:
    image = drawn("RGB", (30, 40), rng)
    exif = image.getexif()
    exif[ORIENTATION] = rng.randint(2, 8)
    return encoded(image, "JPEG", exif=exif)


def animated(rng: random.Random) -> bytes:
    frames = [drawn("L", (20, 20), rng) for _ in range(3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def file_bytes(rng: random.Random) -> bytes:
    """The content of one file: each kind of trouble, and none."""
    size = rng.randint(1, 60), rng.randint(1, 60)
    whole = encoded(drawn(rng.choice(["RGB", "L", "1", "P", "LA", "RGBA"]), size, rng))
    jpeg = encoded(drawn("RGB", size, rng), "JPEG")
    at = rng.randrange(len(whole))
    flipped = bytearray(rng.choice([whole, jpeg]))
    flipped[rng.randrange(len(flipped))] ^= rng.randint(1, 255)
    return rng.choice(
        [
            whole, whole, jpeg, jpeg, whole[:at], jpeg[: len(jpeg) // 2], bytes(flipped), bytes(flipped), b"",
            rng.randbytes(50), b"<html>404</html>", b"P6 0 5 255\n", encoded(drawn("CMYK", size, rng), "JPEG"),
            encoded(drawn("I;16", size, rng)), encoded(drawn("F", size, rng), "TIFF"), animated(rng), turned(rng),
            encoded(drawn("L", (rng.randint(190, 300), 1), rng)), png_header(20_000, 20_000), png_header(0, 4),
            encoded(drawn("RGB", size, rng), "WEBP"), encoded(drawn("L", size, rng), "BMP"),
        ]
    )  # fmt: skip


def odd_image(folder: Any, number: int, rng: random.Random) -> Any:
    """One entry of a row's ``images``."""
    data = file_bytes(rng)
    path = folder / f"{number}.img"
    path.write_bytes(data)
    text = base64.b64encode(data).decode()
    return rng.choice(
        [
            {"bytes": data}, {"bytes": data}, {"bytes": data}, {"bytes": data, "path": None}, {"bytes": None},
            {"image": str(path)}, {"image": f"file://{path}"}, str(path), str(folder / "missing.png"),
            {"image": f"data:image/png;base64,{text}"}, f"data:image/png;base64,{text[:7]}", None, 7, {},
            {"path": str(path)}, [data],
        ]
    )  # fmt: skip


def odd_row(folder: Any, number: int, rng: random.Random) -> dict[str, Any]:
    images: Any = [odd_image(folder, 10 * number + i, rng) for i in range(rng.choice([0, 1, 1, 1, 2]))]
    count = rng.choice([len(images)] * 6 + [0, 1, 2])
    content: Any = " and ".join(["<image>"] * count) + " What is it?"
    return {"prompt": [{"role": "user", "content": content}], "images": images if rng.random() < 0.95 else None}
