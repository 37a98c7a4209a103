"""BM25 over a local index: no network, no quota, its files memory-mapped and shared by the node's workers."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import tantivy

from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.search import index_files
from verl_hdpo.tools.search.index_files import Manifest
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.search.provider import Provider, ProviderError

THREADS = min(4, os.cpu_count() or 1)


class OpenIndex:
    """An index ready to be searched, from any thread.

    Args:
        folder: written by ``index_build.build``.

    Raises:
        ToolConfigError: no finished index of this version in ``folder``.
    """

    def __init__(self, folder: Path):
        self.manifest = Manifest.read(folder)
        self._analyzer = index_files.analyzer(self.manifest.language)
        try:
            self._searcher, self._schema = index_files.open_searcher(folder)
        except ValueError as error:
            raise ToolConfigError(f"{folder} cannot be opened, build it again: {error}") from None

    def search(self, query: str, topk: int) -> list[Passage]:
        """The passages with the highest BM25 score, best first; those without a term of ``query`` are never found.

        The query has no syntax: every word counts, and counts twice when it stands there twice.
        """
        return [passage for _, passage in self.scored(query, topk)]

    def scored(self, query: str, topk: int) -> list[tuple[float, Passage]]:
        """The same with scores."""
        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, index_files.BODY, term, "freq"))
            for term in self._analyzer.analyze(query)
        ]
        hits = self._searcher.search(tantivy.Query.boolean_query(terms), topk, count=False).hits
        return [(score, self._passage(address)) for score, address in hits]

    def _passage(self, address: tantivy.DocAddress) -> Passage:
        (stored,) = self._searcher.doc(address)[index_files.STORED]
        return Passage(*json.loads(bytes(stored)))


class LocalIndex(Provider):
    """Searches an index built by ``verl-hdpo index build``.

    Attributes:
        path: the index's folder, on a disk of the node.
    """

    cached = False  # another index may come to the same path, and a search takes no longer than a look into the cache

    kind: Literal["index"]
    path: Path

    def prepare(self) -> None:
        _opened(self.path)

    async def search(self, query: str, topk: int) -> list[Passage]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(_threads(), _opened(self.path).search, query, topk)
        except (OSError, ValueError) as error:
            raise ProviderError(f"the index {self.path} could not be read: {error}") from None


@functools.cache
def _opened(path: Path) -> OpenIndex:
    return OpenIndex(path)


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """Threads of their own: verl keeps the loop's default ones busy. tantivy searches without the GIL."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="local-index")
