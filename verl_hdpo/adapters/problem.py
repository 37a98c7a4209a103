"""``Problem``: something that a run's config cannot have, or should not; and the agent loops that it may be about."""

from __future__ import annotations

from typing import NamedTuple

from omegaconf import DictConfig

from verl_hdpo.adapters.names import AGENT_LOOP, STOCK_LOOPS
from verl_hdpo.runs.verl_keys import DEFAULT_LOOP


class Problem(NamedTuple):
    """Something a run cannot have, or should not.

    Attributes:
        found: what is wrong.
        advice: what to do.
        loop: the agent loop that it is about, if any.
    """

    found: str
    advice: str
    loop: str = ""

    def __str__(self) -> str:
        return f"{self.found}; {self.advice}"


class AgentLoops(NamedTuple):
    """The agent loops that a run uses.

    Attributes:
        names: all of them.
        training: those of the training data.
        advice: how to choose another.
    """

    names: tuple[str, ...]
    training: tuple[str, ...]
    advice: str

    @property
    def without_ledger(self) -> list[str]:
        """Those that do not tell which tools were called."""
        return [loop for loop in self.names if loop in STOCK_LOOPS]

    @classmethod
    def of(cls, config: DictConfig) -> AgentLoops:
        """As far as the config tells: the data's column ``agent_name`` may name others."""
        default = (config.actor_rollout_ref.rollout.agent.default_agent_loop,)
        return cls(default, default, f"set {DEFAULT_LOOP}={AGENT_LOOP}")
