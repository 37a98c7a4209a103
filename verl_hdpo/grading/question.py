"""``Question``: what an answer answers, as a judge is shown it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Question(NamedTuple):
    """Text, and the images that came with it as verl's messages hold them."""

    text: str
    images: tuple[Any, ...] = ()

    @classmethod
    def of(cls, messages: Sequence[Mapping[str, Any]] | None, extra_info: Mapping[str, Any]) -> Question:
        """``extra_info["question"]`` if the data set has it, else the last user turn: never the system prompt."""
        every = [] if messages is None else messages
        turns = [message["content"] for message in every if message["role"] == "user"]
        said = extra_info.get("question")
        text = said if isinstance(said, str) and said.strip() else _text(turns[-1]) if turns else ""
        return cls(text, tuple(part for turn in turns for part in _images(turn)))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


def _images(content: Any) -> Iterator[Any]:
    if not isinstance(content, str):
        yield from (part for part in content if part.get("type") in ("image", "image_url"))
