"""Brave Search API; https://api-dashboard.search.brave.com/api-reference/web/search/get."""

from __future__ import annotations

import html
import re
from typing import Any, ClassVar, Literal

from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.provider import HttpUrl
from verl_hdpo.tools.search.web_provider import WebProvider
from verl_hdpo.tools.search.web_request import request_json

MAX_COUNT, MAX_WORDS = 20, 50
_TAG = re.compile(r"</?strong>")


class Brave(WebProvider):
    """``GET /res/v1/web/search`` with the key in a header.

    At most ``MAX_COUNT`` results, for the first ``MAX_WORDS`` words of a query.
    """

    max_query_chars: ClassVar[int] = 400

    kind: Literal["brave"]
    api_key_env: str = "BRAVE_API_KEY"
    url: HttpUrl = "https://api.search.brave.com/res/v1/web/search"

    async def ask(self, query: str, topk: int) -> Any:
        params = {**self.params, "q": " ".join(query.split()[:MAX_WORDS]), "count": min(topk, MAX_COUNT)}
        headers = {"X-Subscription-Token": self.secret(), "Accept": "application/json"}
        return await request_json("GET", self.url, params=params, headers=headers)

    def results(self, answer: Any) -> list[dict[str, Any]]:
        answer["query"]  # in every answer; "web" is absent when nothing was found
        return (answer.get("web") or {}).get("results") or []

    def passage(self, result: dict[str, Any]) -> Passage:
        return Passage(_plain(result["title"]), _plain(result.get("description") or ""), result["url"])


def _plain(text: str) -> str:
    """Without the ``<strong>`` around matched words and HTML's escapes."""
    return html.unescape(_TAG.sub("", text))
