"""What a client and a server say to each other about a call, as JSON."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from verl_hdpo.tools.images.image_file import open_image

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class SentImage(_Message):
    """An image in a file format, base64.

    Attributes:
        data: the file.
        from_sample: whether these are the bytes of the sample's own file, not a copy.
    """

    data: str
    from_sample: bool = False

    @classmethod
    def of(cls, image: Image.Image | bytes) -> SentImage:
        """Bytes are the sample's own file; an image becomes a PNG.

        Raises:
            OSError, ValueError: the image cannot be read.
        """
        if isinstance(image, bytes):
            return cls(data=base64.b64encode(image).decode(), from_sample=True)
        file = io.BytesIO()
        plain = image if image.mode in _PNG_MODES else image.convert("RGB")
        plain.save(file, "PNG", compress_level=1)
        return cls(data=base64.b64encode(file.getvalue()).decode())

    def file(self) -> bytes:
        """The encoded image.

        Raises:
            ValueError: no base64.
        """
        return base64.b64decode(self.data, validate=True)

    def image(self) -> Image.Image:
        """The image, read when its pixels are first needed.

        Raises:
            ValueError: no base64, not an image, or a very large one.
        """
        return open_image(self.file())


class Call(_Message):
    """A call as the client sends it.

    Attributes:
        tool: its name.
        arguments: what the model wrote, as JSON text. It is read as verl's loops read it, so that a number of
            any length, NaN and any depth mean what they mean without a server.
        create_kwargs: those of the sample's that the tool needs.
        images_before: how many images of the conversation the server was sent earlier.
        images: those since then, if the tool needs them.
        received: calls of this trajectory whose answers arrived; the server keeps them no longer.
    """

    tool: str
    arguments: str
    create_kwargs: dict[str, Any] = Field(default_factory=dict)
    images_before: int = 0
    images: list[SentImage] = Field(default_factory=list)
    received: list[str] = Field(default_factory=list)


class CallResult(_Message):
    """How a call ended.

    Attributes:
        status: ``ok``; ``failed``: the model's mistake; ``unavailable``: not the model's, and no call;
            ``ends_run``: the tool's code is broken.
        text: for the model; of the error if there was one.
        images: for the model.
        reward, metrics: the tool's own.
    """

    status: Literal["ok", "failed", "unavailable", "ends_run"]
    text: str | None = None
    images: list[SentImage] = Field(default_factory=list)
    reward: float = 0.0
    metrics: Mapping[str, Any] = Field(default_factory=dict)
