"""SerpApi (serpapi.com): Google and other engines; https://serpapi.com/search-api."""

from __future__ import annotations

import logging
import re
from typing import Any, ClassVar, Literal

from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.provider import HttpUrl, TransientError
from verl_hdpo.tools.search.web_provider import WebProvider
from verl_hdpo.tools.search.web_request import request_json


class SerpApi(WebProvider):
    """``GET /search.json``; the key is a query parameter, the only place where the service takes it."""

    max_query_chars: ClassVar[int] = 2048

    kind: Literal["serpapi"]
    api_key_env: str = "SERPAPI_API_KEY"
    url: HttpUrl = "https://serpapi.com/search.json"

    async def ask(self, query: str, topk: int) -> Any:
        params = {"engine": "google", **self.params, "q": query, "num": topk, "api_key": self.secret()}
        answer = await request_json("GET", self.url, params=params)
        if isinstance(answer, dict) and answer.get("search_metadata", {}).get("status") == "Error":
            raise TransientError(f"{self.url}: {str(answer.get('error'))[:200]}")
        return answer

    def results(self, answer: Any) -> list[dict[str, Any]]:
        answer["search_metadata"]
        # A search without results is a success with an "error" text: https://serpapi.com/search-errors
        return answer.get("organic_results") or []

    def passage(self, result: dict[str, Any]) -> Passage:
        return Passage(result["title"], result.get("snippet") or "", result["link"])


class _KeyFilter(logging.Filter):
    """httpx logs every URL at INFO; the key is taken out of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"(api_key=)[^&\s]+", r"\1***", str(arg)) if "api_key=" in str(arg) else arg
                for arg in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_KeyFilter())
