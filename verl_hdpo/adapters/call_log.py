"""``CallLog``: each tool call of a trajectory, for the notes beside verl's dump. The ledger only counts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from verl_hdpo.adapters.thumbnail import thumbnail
from verl_hdpo.outcomes.sidecar import CallNote

if TYPE_CHECKING:  # imported here, they would import adapters/agent_loop.py, which imports this module
    from verl.experimental.agent_loop.tool_agent_loop import AgentData
    from verl.experimental.agent_loop.tool_parser import FunctionCall

CALL_LOG_KEY = "tool_call_log"
"""Where the agent loop leaves the log in ``AgentLoopOutput.extra_fields``."""


class CallLog:
    """Calls in the order in which the model made them, whichever ended first."""

    def __init__(self) -> None:
        self._notes: dict[tuple[int, int], CallNote] = {}

    def add(self, call: FunctionCall, agent_data: AgentData, status: str, seconds: float = 0.0) -> None:
        """Note how a call of the model's latest turn ended."""
        self._notes[_place(call, agent_data)] = {
            "turn": agent_data.assistant_turns - 1,
            "name": call.name,
            "arguments": call.arguments,
            "status": status,
            "seconds": round(seconds, 4),
        }

    def add_images(self, call: FunctionCall, agent_data: AgentData, images: Sequence[Any]) -> None:
        """Note the images in the answer to a call."""
        self._notes[_place(call, agent_data)]["images"] = [thumbnail(image) for image in images]

    def notes(self) -> list[CallNote]:
        return [note for _, note in sorted(self._notes.items())]


def _place(call: FunctionCall, agent_data: AgentData) -> tuple[int, int]:
    calls = agent_data.tool_calls
    return agent_data.assistant_turns, next((at for at, one in enumerate(calls) if one is call), len(calls))


def is_dumped(config: Any) -> bool:
    """Whether the run dumps its rollouts."""
    return bool(OmegaConf.select(config, "trainer.rollout_data_dir"))
