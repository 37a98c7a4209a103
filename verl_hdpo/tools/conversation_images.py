"""The images of a trajectory so far, the user's and the tools', in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from PIL import Image


class ConversationImage(NamedTuple):
    """One image.

    Attributes:
        part: of the message; ``image`` at its original size, and ``bytes`` if the sample has its file.
        resized: as the model's processor resized it, which is all there is for an image by URL.
    """

    part: Mapping[str, Any]
    resized: Any

    @property
    def image(self) -> Image.Image | None:
        """The original if it is an image, else the resized one; None if neither is."""
        candidates = (self.part.get("image"), self.resized)
        return next((image for image in candidates if isinstance(image, Image.Image)), None)


def conversation_images(agent_data: Any) -> list[ConversationImage]:
    """The images in ``messages``, each with that of ``image_data`` (verl/utils/dataset/rl_dataset.py,
    ``process_multi_modal_info``); none without ``agent_data``.
    """
    if agent_data is None:
        return []
    contents = [message.get("content") for message in agent_data.messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    images = [part for part in parts if isinstance(part, dict) and part.get("type") == "image"]
    resized = list(agent_data.image_data or []) + [None] * len(images)
    return [ConversationImage(*pair) for pair in zip(images, resized, strict=False)]
