"""Which rows of a training batch make up which rollout.

verl's V1 trainer keys a row ``{uid}_{session}_{index}``: ``uid`` is the prompt's group, ``session`` one rollout of it,
``index`` one output of that rollout's agent loop. Only a session's last output carries the outcome; the others
share its advantage. Synthetic padding rows belong to no rollout. In verl's classic trainer each row is a rollout.

Shape suffixes: R rows of the batch, B rollouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


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

    @classmethod
    def one_a_row(cls, uids: Sequence[str]) -> RolloutIndex:
        """Of a batch in which each row is a rollout, and rows with the same ``uid`` are a group."""
        groups: dict[str, int] = {}
        row_R = torch.arange(len(uids))
        return cls(row_R, row_R, torch.tensor([groups.setdefault(uid, len(groups)) for uid in uids]))

    def spread(self, values_B: Tensor) -> Tensor:
        """Give each row its rollout's value, and padding rows 0 (False); (R,) in the dtype of ``values_B``."""
        values_R = torch.zeros(len(self.rollout_R), dtype=values_B.dtype)
        real_R = self.rollout_R >= 0
        values_R[real_R] = values_B[self.rollout_R[real_R]]
        return values_R
