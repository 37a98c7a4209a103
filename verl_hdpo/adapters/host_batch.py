"""``HostBatch``: a training batch as a trainer of verl's keeps it, read and written in one way for all of them.

Shape suffixes: R rows of the batch, B rollouts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from verl_hdpo.outcomes.rollout_index import RolloutIndex

MAX_REWARD = 1e30
"""Beyond it float32 cannot hold the sums of a group."""


@dataclass(frozen=True)
class Rows:
    """What a batch says of its B rollouts.

    Attributes:
        index: which rows they are.
        extra_fields: of each rollout, verl's ``AgentLoopOutput.extra_fields`` with ``reward_extra_info`` inside.
        num_turns: verl's count of each rollout's turns.
        sources: the ``data_source`` of each.
        scores: verl's reward of each rollout, token by token.
    """

    index: RolloutIndex
    extra_fields: Sequence[Mapping[str, Any]]
    num_turns: Sequence[int]
    sources: Sequence[str]
    scores: Sequence[Tensor]


class HostBatch(Protocol):
    """One training batch of R rows."""

    def rows(self) -> Rows:
        """What it says of its rollouts."""

    def mask(self, unknown_R: Tensor) -> None:
        """Take these rows, (R,) bool, out of the loss, its denominators, the entropy and KL terms.

        Their scores leave with them where they are not finite: verl's own metrics average over all.
        """

    def trained_tokens(self) -> Tensor:
        """How many tokens of each row are in the loss, (R,) int."""

    def response_masks(self) -> Sequence[Tensor]:
        """Which response tokens of each row are trained on, (T,) each."""

    def put(self, tool_advantages: Tensor | Sequence[Tensor]) -> None:
        """Give the actor the efficiency advantage as ``TOOL_ADVANTAGES``: (R,) float, or of each row's tokens, (T,)."""


def is_spoilt(scores_T: Tensor) -> bool:
    """Whether a rollout's reward is NaN, infinite or beyond all measure."""
    return not scores_T.abs().sum() < MAX_REWARD
