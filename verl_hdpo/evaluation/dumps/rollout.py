"""``Rollout``: one answer to one prompt, with all that its file says of how it came about and what it was worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from verl_hdpo.outcomes.ledger import ToolLedger

Outcome = Literal["correct", "wrong", "unknown", "lost"]
"""``unknown``: no check could decide. ``lost``: an exception ended the rollout, so it is of unknown outcome too."""

Counted = Literal["ledger", "report", "text"]
"""Where T comes from: the ledger that ran the calls, what the reward reported, or calls found in the text, which may
never have run."""


@dataclass(frozen=True)
class Call:
    """A tool call.

    Attributes:
        name: of the tool; empty where it cannot be read.
        arguments: as the model wrote them.
        status: ``executed``, ``failed``, ``timed_out`` or ``dropped`` (never ran); empty where nothing says so.
        seconds: that the call took; None where nothing says so.
    """

    name: str
    arguments: str
    status: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Turn:
    """What one side said.

    Attributes:
        role: ``system``, ``user``, ``assistant`` or ``tool``.
        text: without the chat template's own marks; calls are taken out of it.
        thinking: what stood in a think block.
        calls: of an assistant's turn.
        images: as ``data:`` URIs, or the names that the file has for them.
    """

    role: str
    text: str
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rollout:
    """One rollout. None, or an empty text, stands for what its file does not say.

    Attributes:
        id: its name among all that were read together; the same whenever the same files are read.
        phase: ``train``, ``validation``, ``eval``, or what the format calls it.
        source: ``data_source``.
        step: training step.
        group: rollouts with the same value have the same prompt, and were compared with each other.
        number: among those of its group.
        prompt: the messages before the model's first turn.
        turns: those from the model's first turn on.
        reference: the ground truth.
        outcome: None where no verdict can be read.
        accuracy: the verdict as a number.
        reward: what the trainer was given.
        verdict: which check decided, or why none could.
        answer: what that check saw.
        lost: what ended a lost rollout.
        calls: T.
        counted: where T comes from.
        ledger: how each tool's calls ended.
        r_acc: reward of the answer.
        r_tool: reward of the thrift, 1/(C + 1) if the answer is right, else 0.
        advantage: A_acc, of the loss on accuracy; the only one of algorithms with one channel.
        tool_advantage: A_tool, of the loss on tool use.
        estimator: ``algorithm.adv_estimator``.
        file: that it was read from.
        extras: all else that the file says.
    """

    id: str
    phase: str
    source: str
    step: int | None
    group: str
    number: int
    prompt: tuple[Turn, ...]
    turns: tuple[Turn, ...]
    reference: str = ""
    outcome: Outcome | None = None
    accuracy: float | None = None
    reward: float | None = None
    verdict: str = ""
    answer: str | None = None
    lost: str = ""
    calls: int | None = None
    counted: Counted | None = None
    ledger: ToolLedger | None = None
    r_acc: float | None = None
    r_tool: float | None = None
    advantage: float | None = None
    tool_advantage: float | None = None
    estimator: str = ""
    file: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether it is right or wrong."""
        return self.outcome in ("correct", "wrong")

    @property
    def answer_reward(self) -> float:
        """The reward of its answer; 1 or 0 where the file tells only what is right."""
        given = self.reward if self.r_acc is None else self.r_acc
        return float(self.outcome == "correct") if given is None else given

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools that it called, each once."""
        named = [call.name for turn in self.turns for call in turn.calls if call.name]
        return tuple(dict.fromkeys([*(self.ledger.tools if self.ledger else ()), *named]))

    @property
    def written(self) -> int:
        """Characters that the model wrote."""
        said = (turn for turn in self.turns if turn.role == "assistant")
        return sum(
            len(turn.text) + len(turn.thinking) + sum(len(call.arguments) for call in turn.calls) for turn in said
        )
