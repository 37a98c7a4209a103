"""The ledger of one trajectory's tool calls, written by the agent loop as calls happen.

Every call the model issues ends in exactly one of four ways, so for each tool

    attempted = executed + failed + timed_out + dropped

``dropped`` calls never ran: over ``max_parallel_calls``, over ``max_tool_calls``, on the last allowed turn,
or past the response length. A call that the tool parser cannot read has ``failed``. T, the call count of the
efficiency reward 1/(T + 1), is a policy over these counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from verl_hdpo.settings.outcomes import CountPolicy

CallStatus = Literal["executed", "failed", "timed_out", "dropped"]

CALL_STATUSES: tuple[str, ...] = get_args(CallStatus)

LEDGER_KEY = "tool_ledger"
"""Where the agent loop leaves ``ToolLedger.to_dict()`` in ``AgentLoopOutput.extra_fields``."""

MODEL_SPANS_KEY = "model_spans"
"""Where it leaves the [start, end) spans that the model wrote: verl's reward manager is given no response mask."""

LOST_KEY = "rollout_lost"
"""Where it leaves why the trajectory could not be finished; such a rollout is of unknown outcome. Else empty."""

RUN_ERROR_KEY = "run_error"
"""Where it leaves a mistake in tools or data that ends the run: raised in the loop, it would end only the rollout.
Else empty."""

UNKNOWN_TOOL = "unknown_tool"
"""One name for every tool the model made up, so that its text never becomes a metric's name."""


@dataclass
class ToolTally:
    """Calls to one tool, by how they ended, and the seconds spent in them."""

    executed: int = 0
    failed: int = 0
    timed_out: int = 0
    dropped: int = 0
    seconds: float = 0.0

    @property
    def attempted(self) -> int:
        return self.executed + self.failed + self.timed_out + self.dropped


@dataclass
class ToolLedger:
    """All tool calls of one trajectory.

    Attributes:
        rounds: turns in which at least one call was dispatched.
        unavailable: calls that met ``verl_hdpo.tools.failures.ToolUnavailable``; they are in no tally.
        tools: tally per tool name.
        release_failed: calls, however they ended, after which the tool could not release its instance.
    """

    rounds: int = 0
    unavailable: int = 0
    tools: dict[str, ToolTally] = field(default_factory=dict)
    release_failed: int = 0

    def record(self, tool: str, outcome: CallStatus, seconds: float = 0.0) -> None:
        """Count one call of ``tool`` that ended as ``outcome`` after ``seconds``."""
        tally = self.tools.setdefault(tool, ToolTally())
        setattr(tally, outcome, getattr(tally, outcome) + 1)
        tally.seconds += seconds

    def total(self, name: str) -> float:
        """Sum over tools of one tally field, or of ``attempted``."""
        return float(sum(getattr(tally, name) for tally in self.tools.values()))

    def count(self, policy: CountPolicy) -> int:
        """T, the number of tool calls that the efficiency reward sees.

        Raises:
            ValueError: unknown policy.
        """
        if policy not in get_args(CountPolicy):
            raise ValueError(f"unknown tool-call counting policy {policy!r}; choose one of {get_args(CountPolicy)}")
        return self.rounds if policy == "rounds" else int(self.total(policy))

    def cost(self, policy: CountPolicy, costs: Mapping[str, float]) -> float:
        """C, the sum over tools of calls, counted by ``policy``, times the tool's cost: 1 where ``costs`` has none.

        Without costs C = T, also by the policy ``rounds``, which costs cannot be combined with.
        """
        if not costs:
            return float(self.count(policy))
        return float(sum(getattr(tally, policy) * costs.get(tool, 1.0) for tool, tally in self.tools.items()))

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only: this travels through Ray and TransferQueue."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ToolLedger:
        tools = {name: ToolTally(**tally) for name, tally in data["tools"].items()}
        return cls(data["rounds"], data["unavailable"], tools, data.get("release_failed", 0))


def rounds_from_num_turns(num_turns: int) -> int:
    """Tool rounds of verl's stock tool loop, where ``num_turns = user_turns + assistant_turns + 1``.

    A conversation alternates, ``assistant_turns = user_turns + 1``, so ``num_turns = 2 rounds + 2``
    (verl/experimental/agent_loop/tool_agent_loop.py). Calls per round are not recoverable.
    """
    return max(0, (int(num_turns) - 2) // 2)
