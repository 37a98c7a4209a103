"""The limits of the agent loop ``hdpo_tool_agent``; under ``algorithm.hdpo``."""

from __future__ import annotations

from typing import Annotated, Literal

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
    max_images: Annotated[int | None, Field(ge=0), Wanted("null or an integer >= 0")] = None
    """Most images per trajectory in `hdpo_tool_agent`, the user's included; null for no limit. A tool's image above it
    is not shown, and the model is told. No more than vLLM's `limit_mm_per_prompt`."""
    max_image_pixels: Annotated[int | None, Field(ge=0), Wanted("null or an integer >= 0")] = None
    """Most pixels of all images of a trajectory together, width times height of each before the processor resizes it;
    as `max_images`."""
    show_tools: bool = True
    """Whether `hdpo_tool_agent` gives the chat template the tools; false where the rows' own system prompts describe
    them, as the paper's do."""
    observation_role: Literal["tool", "user"] = "tool"
    """Whose turn a tool's answer is in `hdpo_tool_agent`: `tool`, as the chat template has it, or `user`, a turn with
    the answer and nothing around it."""
