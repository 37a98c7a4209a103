"""The settings of a text search, and the searcher that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from verl_hdpo.runs.private_cache import FAULTS
from verl_hdpo.settings.tool import ToolConfigError, ToolSettings
from verl_hdpo.tools.search.brave import Brave
from verl_hdpo.tools.search.local_index import LocalIndex
from verl_hdpo.tools.search.rate_limit import RateLimit
from verl_hdpo.tools.search.result_cache import ResultCache
from verl_hdpo.tools.search.retrieval_server import RetrievalServer
from verl_hdpo.tools.search.searcher import Searcher
from verl_hdpo.tools.search.serpapi import SerpApi
from verl_hdpo.tools.search.serper import Serper

AnyProvider = LocalIndex | RetrievalServer | Serper | SerpApi | Brave


class TextSearchSettings(ToolSettings):
    """The ``config`` of the text search tool.

    Attributes:
        provider: where passages come from; ``kind`` chooses it.
        topk: passages per query.
        deadline: seconds a search may take, retries included; then the tool is unavailable.
        cache_dir: folder on a local disk of the node for results and the rate limit; None for neither.
        requests_per_second: most requests per key, over all processes that share ``cache_dir``; None for no limit.
    """

    provider: Annotated[AnyProvider, Field(discriminator="kind")]
    topk: int = Field(default=3, ge=1, le=100)
    deadline: float = Field(default=60.0, gt=0)
    cache_dir: Path | None = None
    requests_per_second: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _cache_where_needed(self) -> TextSearchSettings:
        if self.cache_dir is None and self.provider.metered:
            raise ValueError(
                f"{self.provider.kind} charges for every query; set cache_dir to a folder on the node's local disk"
            )
        if self.cache_dir is None and self.requests_per_second is not None:
            raise ValueError("requests_per_second needs cache_dir, where the processes of a node keep it together")
        return self


def searcher(settings: TextSearchSettings) -> Searcher:
    """Ready to search.

    Raises:
        ToolConfigError: no key in the environment, or no index where one should be.
    """
    settings.provider.prepare()
    cache = rate_limit = None
    if settings.cache_dir is not None:
        secret = settings.provider.secret() or settings.provider.model_dump_json()
        try:
            cache = ResultCache(settings.cache_dir / "results") if settings.provider.cached else None
            rate_limit = RateLimit(settings.cache_dir / "rate", secret, settings.requests_per_second)
        except FAULTS as error:
            raise ToolConfigError(f"text_search: cache_dir cannot be used: {error}") from None
    return Searcher(settings.provider, settings.topk, settings.deadline, cache, rate_limit)
