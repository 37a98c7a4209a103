"""``text_search`` ``{query}``: passages from a local index, a retrieval server or a web search service."""

from __future__ import annotations

from typing import Any

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl.utils.rollout_trace import rollout_trace_op

from verl_hdpo.settings.tool import read_settings
from verl_hdpo.tools.arguments import text_argument
from verl_hdpo.tools.io_loop import on_io_loop
from verl_hdpo.tools.schema import text_schema
from verl_hdpo.tools.search.passage import listing
from verl_hdpo.tools.search.settings import TextSearchSettings, searcher


class TextSearchTool(BaseTool):
    """Searches what ``config.provider`` names; see ``verl_hdpo.tools.search.settings.TextSearchSettings``."""

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None = None):
        settings = read_settings(TextSearchSettings, config, "text_search")
        self._provider = settings.provider
        self._searcher = searcher(settings)
        self.ends_within = settings.deadline
        super().__init__(
            config,
            tool_schema
            or text_schema(
                settings.name or "text_search",
                "Search for passages of text. The best matches come back.",
                query="what to look for, in a few words",
            ),
        )

    @rollout_trace_op
    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict]:
        """Raises BadCall for the model's arguments, ToolUnavailable when the provider gives no answer."""
        query = text_argument(parameters, "query", self._provider.max_query_chars)
        passages = await on_io_loop(self._searcher.search(query))
        return ToolResponse(text=listing(passages, show_source=self._provider.has_urls)), 0.0, {}
