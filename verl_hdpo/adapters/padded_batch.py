"""A training batch of verl's classic trainer: a ``DataProto`` of padded rows, each of them a rollout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from verl import DataProto

from verl_hdpo.adapters.host_batch import Rows, is_spoilt
from verl_hdpo.adapters.loss import TOOL_ADVANTAGES
from verl_hdpo.outcomes.decision_spans import DECISION_SPANS_KEY
from verl_hdpo.outcomes.ledger import LEDGER_KEY, LOST_KEY, RUN_ERROR_KEY
from verl_hdpo.outcomes.rollout_index import RolloutIndex

EXTRA_FIELDS = ("reward_extra_info", LEDGER_KEY, LOST_KEY, RUN_ERROR_KEY, DECISION_SPANS_KEY)
"""Of an agent loop's ``extra_fields``, of which verl makes a column each (agent_loop.py, ``_postprocess``)."""


class PaddedBatch:
    """A :class:`HostBatch`."""

    def __init__(self, data: DataProto):
        self._data = data

    def rows(self) -> Rows:
        columns, scores = self._data.non_tensor_batch, self._data.batch["rm_scores"]
        found = {name: columns[name] for name in EXTRA_FIELDS if name in columns}
        # verl fills in None where a rollout's agent loop had no such field.
        extra_fields = [
            {name: column[row] for name, column in found.items() if column[row] is not None}
            for row in range(len(scores))
        ]
        turns, sources = columns["__num_turns__"].tolist(), columns["data_source"].tolist()
        return Rows(RolloutIndex.one_a_row(columns["uid"].tolist()), extra_fields, turns, sources, scores.unbind())

    def mask(self, unknown_R: Tensor) -> None:
        batch = self._data.batch
        batch["response_mask"] = batch["response_mask"] * ~unknown_R.unsqueeze(-1)
        for row in unknown_R.nonzero().squeeze(1).tolist():
            # In place: verl took this tensor for its token_level_scores before (ray_trainer.py, extract_reward).
            if is_spoilt(batch["rm_scores"][row]):
                batch["rm_scores"][row] = 0

    def trained_tokens(self) -> Tensor:
        return self._data.batch["response_mask"].sum(dim=-1)

    def response_masks(self) -> Sequence[Tensor]:
        return self._data.batch["response_mask"].unbind()

    def put(self, tool_advantages: Tensor | Sequence[Tensor]) -> None:
        if not isinstance(tool_advantages, Tensor):
            tool_advantages = torch.stack([*tool_advantages])
        self._data.batch[TOOL_ADVANTAGES] = tool_advantages
