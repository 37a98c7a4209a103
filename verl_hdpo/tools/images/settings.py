"""The settings of the image search tool."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from verl_hdpo.settings.tool import ToolSettings


class ImageSearchSettings(ToolSettings):
    """The ``config`` of the image search tool.

    Attributes:
        path: file written by ``verl-hdpo images build``.
        topk: most results per call.
    """

    path: Path
    topk: int = Field(default=5, ge=1, le=20)
