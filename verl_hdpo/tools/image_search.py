"""``image_search`` ``{}``: what a search with the sample's image had found, precomputed; pictures and titles."""

from __future__ import annotations

import sqlite3
from typing import Any

from verl_hdpo.tools.arguments import check_names
from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.images.sample_key import key_in_messages
from verl_hdpo.tools.images.settings import ImageSearchSettings
from verl_hdpo.tools.images.store import ImageResult, ImageResults
from verl_hdpo.tools.io_loop import in_thread
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.valid_text import valid_text

NOTHING_FOUND = "No pages with this image were found."


class ImageSearchTool(Tool):
    """Looks the sample up in ``config.path``; see ``verl_hdpo.tools.images``.

    A sample's key is ``extra_info.tools_kwargs.<tool>.create_kwargs.key``, or that of its first image.
    """

    kind = "image_search"
    settings_class = ImageSearchSettings
    signature = Signature.of_texts(
        "image_search",
        "Search the web for pages with the image of the question. Pictures and titles come back.",
    )
    server_needs = Needs(create_kwargs=("key",), images=True)

    def prepare(self, settings: ImageSearchSettings) -> None:
        self._results, self._topk = ImageResults(settings.path), settings.topk

    async def answer(self, arguments: Any, call: Call) -> Answer:
        """Without results the sample was never searched for, and the tool is unavailable."""
        check_names(arguments, set())
        key = call.create_kwargs.get("key")
        key = valid_text(str(key)) if key not in (None, "") else key_in_messages(call.agent_data.messages)
        if key is None:
            raise ToolUnavailable("image_search: the sample has neither a key nor an image with its encoded bytes")
        try:
            results = await in_thread(self._results.get, key, self._topk)
        except KeyError:
            raise ToolUnavailable(f"image_search: no results were stored for the sample {key}") from None
        except (OSError, ValueError, sqlite3.Error) as error:
            raise ToolUnavailable(f"image_search: the results cannot be read: {error}") from error
        return _answer(results)


def _answer(results: list[ImageResult]) -> Answer:
    if not results:
        return Answer(NOTHING_FOUND)
    images, lines = [], []
    for number, result in enumerate(results, 1):
        picture = "no picture"
        if result.image is not None:
            images.append(result.image)
            picture = f"picture {len(images)}"
        lines.append(f"[{number}] {result.title} ({', '.join(filter(None, (picture, result.url)))})")
    return Answer("\n".join(lines), images)
