"""Which rows of a training batch make up which rollout, and what is known of each rollout.

verl's V1 trainer keys a row ``{uid}_{session}_{index}``: ``uid`` is the prompt's group, ``session`` one rollout of it,
``index`` one output of that rollout's agent loop. Only a session's last output carries the outcome; the others
share its advantage. Synthetic padding rows belong to no rollout.

Shape suffixes: R rows of the batch, B rollouts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verl_hdpo.outcomes.ledger import LEDGER_KEY, ToolLedger, rounds_from_num_turns
from verl_hdpo.outcomes.rewards import REWARD_ERROR
from verl_hdpo.settings.hdpo import HDPOConfig


class OutcomeError(ValueError):
    """A rollout reports no outcome that HDPO can read; the message says what was found and what to do."""


@dataclass(frozen=True)
class RolloutIndex:
    """The rollouts of a batch of R rows.

    Attributes:
        rollout_R: rollout number of each row, -1 for padding, (R,) int64.
        final_B: row of each rollout's last output, (B,) int64.
        group_B: group number of each rollout, (B,) int64.
    """

    rollout_R: Tensor
    final_B: Tensor
    group_B: Tensor

    @classmethod
    def from_keys(cls, keys: Sequence[str], padding: Sequence[bool]) -> RolloutIndex:
        """Parse the batch's keys; rollouts and groups are numbered in order of appearance.

        Raises:
            ValueError: a key that is not ``{uid}_{session}_{index}``.
        """
        rollout_R: list[int] = []
        rollouts: dict[tuple[str, str], int] = {}
        groups: dict[str, int] = {}
        final_B: list[int] = []
        last_index_B: list[int] = []
        group_B: list[int] = []
        for row, (key, is_padding) in enumerate(zip(keys, padding, strict=True)):
            if is_padding:
                rollout_R.append(-1)
                continue
            parts = key.rsplit("_", 2)
            if len(parts) != 3 or not parts[2].isdigit():
                raise ValueError(
                    f"batch key {key!r} is not {{uid}}_{{session}}_{{index}}, as verl's V1 trainer writes it"
                )
            uid, session, index = parts[0], parts[1], int(parts[2])
            rollout = rollouts.setdefault((uid, session), len(rollouts))
            if rollout == len(final_B):
                final_B.append(row)
                last_index_B.append(index)
                group_B.append(groups.setdefault(uid, len(groups)))
            elif index > last_index_B[rollout]:
                final_B[rollout], last_index_B[rollout] = row, index
            rollout_R.append(rollout)
        return cls(*(torch.tensor(x, dtype=torch.int64) for x in (rollout_R, final_B, group_B)))

    def spread(self, values_B: Tensor) -> Tensor:
        """Give each row its rollout's value, and padding rows 0 (False); (R,) in the dtype of ``values_B``."""
        values_R = torch.zeros(len(self.rollout_R), dtype=values_B.dtype)
        real_R = self.rollout_R >= 0
        values_R[real_R] = values_B[self.rollout_R[real_R]]
        return values_R


@dataclass(frozen=True)
class Outcomes:
    """What is known of B rollouts; an outcome is correct, wrong, or unknown (neither).

    Attributes:
        known_B: whether the outcome is known, (B,) bool.
        correct_B: whether it is known and correct, (B,) bool.
        tool_calls_B: T, (B,) int64.
        ledgers: each rollout's ledger; None where the loop kept none.
        format_ok_B: whether the format was obeyed, (B,) bool; None where the reward manager does not report it.
    """

    known_B: Tensor
    correct_B: Tensor
    tool_calls_B: Tensor
    ledgers: list[ToolLedger | None]
    format_ok_B: Tensor | None = None

    @classmethod
    def read(cls, extra_fields: Sequence[Mapping[str, Any]], num_turns: Sequence[int], config: HDPOConfig) -> Outcomes:
        """Read what the reward manager and the agent loop reported, one entry per rollout.

        Args:
            extra_fields: verl's ``AgentLoopOutput.extra_fields`` with ``reward_extra_info`` inside.
            num_turns: verl's turn count, for loops that keep no ledger.

        Raises:
            OutcomeError: ``reward_extra_info`` has no ``config.correct_key``, or says that it could not be made.
        """
        infos = [fields.get("reward_extra_info") or {} for fields in extra_fields]
        ledgers = [
            ToolLedger.from_dict(fields[LEDGER_KEY]) if LEDGER_KEY in fields else None for fields in extra_fields
        ]
        correctness = [
            # Whatever the reward manager makes of it: with the tool at hand it might have ended otherwise.
            math.nan if ledger is not None and ledger.unavailable else _correctness(info, config)
            for ledger, info in zip(ledgers, infos, strict=True)
        ]
        tool_calls = [
            _tool_calls(ledger, info, turns, config)
            for ledger, info, turns in zip(ledgers, infos, num_turns, strict=True)
        ]
        return cls(
            known_B=torch.tensor([not math.isnan(value) for value in correctness], dtype=torch.bool),
            correct_B=torch.tensor([value > config.correct_threshold for value in correctness], dtype=torch.bool),
            tool_calls_B=torch.tensor(tool_calls, dtype=torch.int64),
            ledgers=ledgers,
            format_ok_B=_format_ok(infos, correctness),
        )

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Those of several batches, without what they say of the format."""
        return cls(
            torch.cat([part.known_B for part in parts]),
            torch.cat([part.correct_B for part in parts]),
            torch.cat([part.tool_calls_B for part in parts]),
            [ledger for part in parts for ledger in part.ledgers],
        )

    def cost(self, config: HDPOConfig) -> Tensor:
        """C, the cost of each rollout's tool calls: T where no tool has a cost of its own. (B,) float64.

        Raises:
            OutcomeError: tools have costs, and a rollout comes without a ledger that says which tools it called.
        """
        if not config.tool_costs:
            return self.tool_calls_B.double()
        if any(ledger is None for ledger in self.ledgers):
            raise OutcomeError(
                "algorithm.hdpo.tool_costs needs to know which tools a rollout called, and its agent loop kept no "
                "ledger; set actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent (and no other "
                "agent_name in the data), or remove tool_costs"
            )
        costs = [ledger.cost(config.count_calls, config.tool_costs) for ledger in self.ledgers]
        return torch.tensor(costs, dtype=torch.float64)


def _correctness(reward_extra_info: Mapping[str, Any], config: HDPOConfig) -> float:
    """The value under ``correct_key``; NaN when the outcome is unknown."""
    if REWARD_ERROR in reward_extra_info:
        raise OutcomeError(f"the reward manager could not score a rollout: {reward_extra_info[REWARD_ERROR]}")
    known = reward_extra_info.get(config.known_key)
    if known is not None and not known:
        return math.nan
    # What verl's rate_limited manager (reward_manager/limited.py) reports with acc=0 when the reward function raised or
    # ran out of time; with a dict of the function's own there is a score.
    if "score" not in reward_extra_info and ("timeout" in reward_extra_info or "error" in reward_extra_info):
        return math.nan
    if config.correct_key not in reward_extra_info:
        raise OutcomeError(
            f"HDPO needs to know which rollouts are correct: reward_extra_info has no key {config.correct_key!r}, only "
            f"{sorted(reward_extra_info)}; return it from your reward function as a dict with 'score' and "
            f"{config.correct_key!r}, or name another key with +algorithm.hdpo.correct_key=..."
        )
    value = reward_extra_info[config.correct_key]
    return math.nan if value is None else float(value)


def _format_ok(infos: Sequence[Mapping[str, Any]], correctness: Sequence[float]) -> Tensor | None:
    """``format`` as the ``hdpo`` reward manager reports it: 1 or 0; a fraction is a format not quite obeyed.

    A rollout of unknown outcome may lack it.
    """
    values = [info.get("format") for info in infos]
    if any(value is None and not math.isnan(known) for value, known in zip(values, correctness, strict=True)):
        return None
    return torch.tensor([value == 1 for value in values], dtype=torch.bool)


def _tool_calls(
    ledger: ToolLedger | None, reward_extra_info: Mapping[str, Any], num_turns: int, config: HDPOConfig
) -> int:
    """T from the ledger; else as the reward manager reports it (verl's validation keeps no ledger); else rounds."""
    if ledger is not None:
        return ledger.count(config.count_calls)
    reported = reward_extra_info.get("tool_calls")
    return rounds_from_num_turns(num_turns) if reported is None else int(reported)
