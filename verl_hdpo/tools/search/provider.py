"""The interface of a search provider, and how it says that it gave no answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field

from verl_hdpo.settings.tool import Settings
from verl_hdpo.tools.search.passage import Passage

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]


class ProviderError(RuntimeError):
    """The provider gave no answer, and asking again will not help: a refused key, a malformed index."""


class TransientError(ProviderError):
    """The provider gave no answer this time.

    Attributes:
        retry_after: seconds that the provider asked to be left alone; None if it did not say.
    """

    def __init__(self, message: str, retry_after: float | None = None):
        super().__init__(message)
        self.retry_after = retry_after


class Provider(Settings, ABC):
    """A source of passages; its fields are its settings.

    Attributes:
        kind: which provider it is.
        max_query_chars: longest query it takes.
        metered: every query is paid for, so results must be cached.
        cached: the same query has the same answer for good.
        has_urls: sources are worth showing to the model.
    """

    max_query_chars: ClassVar[int] = 1000
    metered: ClassVar[bool] = False
    cached: ClassVar[bool] = True
    has_urls: ClassVar[bool] = False

    kind: str

    def prepare(self) -> None:
        """Check once, when the tool is made, that queries can be sent at all.

        Raises:
            ToolConfigError: what is missing.
        """

    def secret(self) -> str:
        """What the provider counts queries against, its key; the rate limit is per secret."""
        return ""

    @abstractmethod
    async def search(self, query: str, topk: int) -> list[Passage]:
        """The ``topk`` best passages for ``query``, best first; on the shared I/O loop.

        Raises:
            ProviderError: no answer.
        """
