"""``extra_info.tools_kwargs`` of a sample, as verl's tool loop can use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verl_hdpo.tools.failures import EndsRun


def tools_kwargs_of(found: Any) -> dict[str, Any]:
    """``tools_kwargs`` without nulls: a key that only some rows have is null in all others of a parquet file.

    Raises:
        EndsRun: a level of it is no mapping, which verl would count as a mistake of the model's.
    """
    tools = _mapping(found, "tools_kwargs")
    for tool, given in tools.items():
        kwargs = _mapping(given, f"tools_kwargs.{tool}")
        kwargs["create_kwargs"] = _mapping(kwargs.get("create_kwargs"), f"tools_kwargs.{tool}.create_kwargs")
        tools[tool] = kwargs
    return tools


def _mapping(value: Any, path: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        found = f"{type(value).__name__} {value!r:.80}"
        raise EndsRun(f"extra_info.{path} must be a mapping, found {found}; correct the data set")
    return {key: inner for key, inner in (value or {}).items() if inner is not None}
