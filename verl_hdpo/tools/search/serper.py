"""Serper (serper.dev): Google results; https://serper.dev/playground."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.provider import HttpUrl
from verl_hdpo.tools.search.web_provider import WebProvider
from verl_hdpo.tools.search.web_request import request_json


class Serper(WebProvider):
    """``POST /search`` with the key in a header."""

    max_query_chars: ClassVar[int] = 2048

    kind: Literal["serper"]
    api_key_env: str = "SERPER_API_KEY"
    url: HttpUrl = "https://google.serper.dev/search"

    async def ask(self, query: str, topk: int) -> Any:
        body = {**self.params, "q": query, "num": topk}
        return await request_json("POST", self.url, json=body, headers={"X-API-KEY": self.secret()})

    def results(self, answer: Any) -> list[dict[str, Any]]:
        answer["searchParameters"]  # in every answer, so its absence is another shape, not an empty result
        return answer.get("organic") or []

    def passage(self, result: dict[str, Any]) -> Passage:
        return Passage(result["title"], result.get("snippet") or "", result["link"])
