"""A trajectory on the server: what a tool is given in the place of verl's ``AgentData``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.server.messages import SentImage


class Conversation:
    """The images of a trajectory, where ``AgentData`` has them; no text of it.

    Attributes:
        messages: one message with the images.
        image_data: the images.
    """

    def __init__(self) -> None:
        self.image_data: list[Image.Image] = []
        self._parts: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": self._parts}]

    def add(self, before: int, images: Sequence[SentImage]) -> None:
        """Add the images after the first ``before``; those that are here already are left out.

        Raises:
            ToolUnavailable: some in between are missing, or one cannot be read.
        """
        have = len(self.image_data)
        if before > have:
            raise ToolUnavailable(f"image {have + 1} of the conversation did not reach the tool server")
        for sent in images[have - before :]:
            try:
                image = sent.image()
            except (OSError, ValueError) as error:
                raise ToolUnavailable(f"an image of the conversation cannot be read: {error}") from None
            self.image_data.append(image)
            own_bytes = {"bytes": sent.file()} if sent.from_sample else {}
            self._parts.append({"type": "image", "image": image, **own_bytes})
