"""What a tool must be given besides the model's arguments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """A tool class says so in its attribute ``server_needs``; nothing else of the sample is sent to a tool server.

    Attributes:
        create_kwargs: names of the sample's ``create_kwargs``.
        images: the images of the conversation.
    """

    create_kwargs: tuple[str, ...] = ()
    images: bool = False
