"""``image_search`` ``{}``: what a search with the sample's image had found, precomputed; pictures and titles."""

from __future__ import annotations

import sqlite3
from typing import Any

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl.utils.rollout_trace import rollout_trace_op

from verl_hdpo.settings.tool import read_settings
from verl_hdpo.tools.arguments import check_names
from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.images.sample_key import key_in_messages
from verl_hdpo.tools.images.settings import ImageSearchSettings
from verl_hdpo.tools.images.store import ImageResult, ImageResults
from verl_hdpo.tools.io_loop import in_thread
from verl_hdpo.tools.schema import text_schema
from verl_hdpo.tools.server.needs import Needs

NOTHING_FOUND = "No pages with this image were found."


class ImageSearchTool(BaseTool):
    """Looks the sample up in ``config.path``; see ``verl_hdpo.tools.images``.

    A sample's key is ``extra_info.tools_kwargs.<tool>.create_kwargs.key``, or that of its first image.
    """

    server_needs = Needs(create_kwargs=("key",), images=True)

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None = None):
        settings = read_settings(ImageSearchSettings, config, "image_search")
        self._results, self._topk = ImageResults(settings.path), settings.topk
        self._keys: dict[str, str] = {}
        super().__init__(
            config,
            tool_schema
            or text_schema(
                settings.name or "image_search",
                "Search the web for pages with the image of the question. Pictures and titles come back.",
            ),
        )

    async def create(self, instance_id: str | None = None, **kwargs: Any) -> tuple[str, ToolResponse]:
        instance_id, response = await super().create(instance_id, **kwargs)
        if key := (kwargs.get("create_kwargs") or {}).get("key"):
            self._keys[instance_id] = str(key)
        return instance_id, response

    @rollout_trace_op
    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict]:
        """Raises BadCall for arguments, ToolUnavailable when the sample was never searched for."""
        check_names(parameters, set())
        key = self._keys.get(instance_id) or key_in_messages(kwargs["agent_data"].messages)
        if key is None:
            raise ToolUnavailable("image_search: the sample has neither a key nor an image with its encoded bytes")
        try:
            results = await in_thread(self._results.get, key, self._topk)
        except KeyError:
            raise ToolUnavailable(f"image_search: no results were stored for the sample {key}") from None
        except (OSError, ValueError, sqlite3.Error) as error:
            raise ToolUnavailable(f"image_search: the results cannot be read: {error}") from error
        return _response(results), 0.0, {}

    async def release(self, instance_id: str, **kwargs: Any) -> None:
        self._keys.pop(instance_id, None)


def _response(results: list[ImageResult]) -> ToolResponse:
    if not results:
        return ToolResponse(text=NOTHING_FOUND)
    images, lines = [], []
    for number, result in enumerate(results, 1):
        picture = "no picture"
        if result.image is not None:
            images.append(result.image)
            picture = f"picture {len(images)}"
        lines.append(f"[{number}] {result.title} ({', '.join(filter(None, (picture, result.url)))})")
    return ToolResponse(text="\n".join(lines), **({"image": images} if images else {}))
