"""A retrieval server as Search-R1 starts one: https://github.com/PeterGriffinJin/Search-R1."""

from __future__ import annotations

from typing import Any, Literal

from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.provider import HttpUrl, Provider, TransientError
from verl_hdpo.tools.search.web_request import request_json


class RetrievalServer(Provider):
    """``POST url`` with ``{"queries": [q], "topk": k, "return_scores": true}``.

    It answers ``{"result": [[{"document": {"id": ..., "contents": "title\\ntext"}, "score": ...}, ...]]}``.

    Attributes:
        url: the endpoint, ``http://host:8000/retrieve``.
    """

    kind: Literal["retrieval_server"]
    url: HttpUrl

    async def search(self, query: str, topk: int) -> list[Passage]:
        body = {"queries": [query], "topk": topk, "return_scores": True}
        answer = await request_json("POST", self.url, json=body)
        try:
            answers = answer["result"]
            (results,) = answers or [[]]  # nothing found: an empty list for the query, none, or null
            return [_passage(result["document"]) for result in (results or [])[:topk]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TransientError(f"{self.url} sent JSON of another shape: {error!r}") from None


def _passage(document: dict[str, Any]) -> Passage:
    title, _, text = document["contents"].partition("\n")
    return Passage(title.strip('"'), text, str(document.get("id", "")))
