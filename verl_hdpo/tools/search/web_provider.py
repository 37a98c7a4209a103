"""What the paid web search services have in common: a key in the environment and results as JSON objects."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any, ClassVar

from pydantic import Field

from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.provider import HttpUrl, Provider, TransientError


class WebProvider(Provider):
    """A web search service that counts queries per key.

    Attributes:
        api_key_env: environment variable that holds the key; the key itself never stands in a file.
        url: the service's endpoint.
        params: further parameters of the service, such as a country or a language.
    """

    metered: ClassVar[bool] = True
    has_urls: ClassVar[bool] = True

    api_key_env: str
    url: HttpUrl
    params: dict[str, str | int | bool] = Field(default_factory=dict)

    def prepare(self) -> None:
        if not self.secret():
            raise ToolConfigError(
                f"{type(self).__name__} needs a key in the environment variable {self.api_key_env}, which is not set; "
                "for Ray's workers name it in the job's runtime_env.env_vars"
            )

    def secret(self) -> str:
        return os.environ.get(self.api_key_env, "").strip()

    async def search(self, query: str, topk: int) -> list[Passage]:
        answer = await self.ask(query, topk)
        try:
            return [_checked(self.passage(result)) for result in self.results(answer)[:topk]]
        except (AttributeError, KeyError, TypeError) as error:
            raise TransientError(f"{self.url} sent JSON of another shape: {error!r}") from None

    @abstractmethod
    async def ask(self, query: str, topk: int) -> Any:
        """The service's answer to ``query``, parsed."""

    @abstractmethod
    def results(self, answer: Any) -> list[dict[str, Any]]:
        """The results in ``answer``, best first; may raise KeyError, TypeError or AttributeError."""

    @abstractmethod
    def passage(self, result: dict[str, Any]) -> Passage:
        """One of ``results``; may raise likewise."""


def _checked(passage: Passage) -> Passage:
    if not all(isinstance(text, str) for text in passage):
        raise TypeError(f"a result is made of texts, found {passage}")
    return passage
