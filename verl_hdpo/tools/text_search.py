"""``text_search`` ``{query}``: passages from a local index, a retrieval server or a web search service."""

from __future__ import annotations

from typing import Any

from verl_hdpo.tools.arguments import text_argument
from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.io_loop import on_io_loop
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.search.passage import listing
from verl_hdpo.tools.search.settings import TextSearchSettings, searcher


class TextSearchTool(Tool):
    """Searches what ``config.provider`` names; see ``verl_hdpo.tools.search.settings.TextSearchSettings``."""

    kind = "text_search"
    settings_class = TextSearchSettings
    signature = Signature.of_texts(
        "text_search",
        "Search for passages of text. The best matches come back.",
        query="what to look for, in a few words",
    )

    def prepare(self, settings: TextSearchSettings) -> None:
        self._provider, self._searcher = settings.provider, searcher(settings)
        self.ends_within = settings.deadline

    async def answer(self, arguments: Any, call: Call) -> Answer:
        query = text_argument(arguments, "query", self._provider.max_query_chars)
        passages = await on_io_loop(self._searcher.search(query))
        return Answer(listing(passages, show_source=self._provider.has_urls))
