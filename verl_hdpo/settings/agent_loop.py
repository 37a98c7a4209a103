"""The limits of the agent loop ``hdpo_tool_agent``; under ``algorithm.hdpo``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from verl_hdpo.settings.group import StrictSettings, Wanted


class AgentLoopSettings(StrictSettings):
    """What one trajectory may do."""

    max_tool_calls: Annotated[int | None, Field(ge=0), Wanted("null or an integer >= 0")] = None
    """Most calls that run per trajectory in `hdpo_tool_agent`; null for no cap. The model is told when it is
    reached."""
    answer_opening: Annotated[str, Field(min_length=1), Wanted("a text")] = "<answer>"
    """Text with which an answer begins, for `tool_tokens=decision`."""
    tool_timeout: Annotated[float | None, Field(gt=0), Wanted("null or a number of seconds > 0")] = 400.0
    """Seconds one call may take in `hdpo_tool_agent`; null for no limit."""
