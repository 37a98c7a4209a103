"""What is known of the rollouts of a batch. Shape suffix: B rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from verl_hdpo.outcomes.calls import cost_of_calls, count_calls
from verl_hdpo.outcomes.judge_use import JudgeUse
from verl_hdpo.outcomes.ledger import LEDGER_KEY, LOST_KEY, RUN_ERROR_KEY, ToolLedger
from verl_hdpo.outcomes.outcome import Outcome, OutcomeError
from verl_hdpo.outcomes.report import read_outcome
from verl_hdpo.settings.outcomes import OutcomeSettings


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of B rollouts, each correct, wrong, or unknown (neither).

    Attributes:
        known_B: whether the outcome is known, (B,) bool.
        correct_B: whether it is known and correct, (B,) bool.
        tool_calls_B: T, (B,) int64.
        ledgers: each rollout's ledger; None where the loop kept none.
        format_ok_B: whether the format was obeyed, (B,) bool; None where the reward manager does not report it.
        sources: which check decided each outcome, or why it is unknown; an empty text where nobody says.
        lost: why a rollout was lost; an empty text for those that were not.
        judged: what asking the judge took.
    """

    known_B: Tensor
    correct_B: Tensor
    tool_calls_B: Tensor
    ledgers: list[ToolLedger | None]
    format_ok_B: Tensor | None = None
    sources: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    judged: tuple[JudgeUse, ...] = ()

    @classmethod
    def read(
        cls, extra_fields: Sequence[Mapping[str, Any]], num_turns: Sequence[int], settings: OutcomeSettings
    ) -> Outcomes:
        """Read what the reward manager and the agent loop reported, one entry per rollout.

        Args:
            extra_fields: verl's ``AgentLoopOutput.extra_fields`` with ``reward_extra_info`` inside.
            num_turns: verl's turn count, for loops that keep no ledger.

        Raises:
            OutcomeError: the agent loop met a mistake in tools or data, or a rollout reports nothing that can be read;
                see :func:`read_outcome` and :func:`count_calls`.
        """
        for fields in extra_fields:
            if fields.get(RUN_ERROR_KEY):
                raise OutcomeError(fields[RUN_ERROR_KEY])
        infos = [fields.get("reward_extra_info") or {} for fields in extra_fields]
        ledgers = [
            ToolLedger.from_dict(fields[LEDGER_KEY]) if LEDGER_KEY in fields else None for fields in extra_fields
        ]
        lost = tuple(str(fields.get(LOST_KEY) or "") for fields in extra_fields)
        outcomes = [
            # Whatever the reward manager makes of it: with the tool at hand it might have ended otherwise.
            Outcome.unknown("lost" if cause else "tool_unavailable")
            if cause or (ledger is not None and ledger.unavailable)
            else read_outcome(info, settings)
            for cause, ledger, info in zip(lost, ledgers, infos, strict=True)
        ]
        tool_calls = [
            count_calls(ledger, info.get("tool_calls"), turns, settings)
            for ledger, info, turns in zip(ledgers, infos, num_turns, strict=True)
        ]
        return cls(
            known_B=torch.tensor([outcome.known for outcome in outcomes], dtype=torch.bool),
            correct_B=torch.tensor(
                [outcome.known and outcome.acc > settings.correct_threshold for outcome in outcomes], dtype=torch.bool
            ),
            tool_calls_B=torch.tensor(tool_calls, dtype=torch.int64),
            ledgers=ledgers,
            format_ok_B=_format_ok(infos, outcomes),
            sources=tuple(outcome.source for outcome in outcomes),
            lost=lost,
            judged=tuple(JudgeUse.read(info) for info in infos),
        )

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Those of several batches, without what they say of the format and the judge."""
        return cls(
            torch.cat([part.known_B for part in parts]),
            torch.cat([part.correct_B for part in parts]),
            torch.cat([part.tool_calls_B for part in parts]),
            [ledger for part in parts for ledger in part.ledgers],
            sources=tuple(source for part in parts for source in part.sources),
            lost=tuple(cause for part in parts for cause in part.lost),
        )

    def of(self, rollouts: Sequence[int]) -> Outcomes:
        """Those of some rollouts, without what they say of the format and the judge."""
        rows = list(rollouts)
        return Outcomes(
            self.known_B[rows],
            self.correct_B[rows],
            self.tool_calls_B[rows],
            [self.ledgers[row] for row in rows],
            sources=tuple(self.sources[row] for row in rows) if self.sources else (),
            lost=tuple(self.lost[row] for row in rows) if self.lost else (),
        )

    def with_unknown(self, unknown_B: Tensor, source: str) -> Outcomes:
        """The same, with those of ``unknown_B``, (B,) bool, unknown because of ``source``."""
        if not unknown_B.any():
            return self
        sources = tuple(source if gone else was for gone, was in zip(unknown_B.tolist(), self.sources, strict=True))
        known_B = self.known_B & ~unknown_B
        return replace(self, known_B=known_B, correct_B=self.correct_B & known_B, sources=sources)

    def cost(self, settings: OutcomeSettings) -> Tensor:
        """C, the cost of each rollout's tool calls: T where no tool has a cost of its own. (B,) float64.

        Raises:
            OutcomeError: tools have costs, and a rollout comes without a ledger that says which tools it called.
        """
        if not settings.tool_costs:
            return self.tool_calls_B.double()
        calls = zip(self.ledgers, self.tool_calls_B.tolist(), strict=True)
        return torch.tensor([cost_of_calls(ledger, T, settings) for ledger, T in calls], dtype=torch.float64)


def _format_ok(infos: Sequence[Mapping[str, Any]], outcomes: Sequence[Outcome]) -> Tensor | None:
    """``format`` as the ``hdpo`` reward manager reports it: 1 or 0; a fraction is a format not quite obeyed.

    A rollout of unknown outcome may lack it.
    """
    values = [info.get("format") for info in infos]
    if any(value is None and outcome.known for value, outcome in zip(values, outcomes, strict=True)):
        return None
    return torch.tensor([value == 1 for value in values], dtype=torch.bool)
