"""A training batch of verl's classic trainer: a ``DataProto`` of padded rows, each of them a rollout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from verl import DataProto

from verl_hdpo.adapters.call_log import CALL_LOG_KEY
from verl_hdpo.adapters.host_batch import Rows, is_spoilt
from verl_hdpo.adapters.loss import TOOL_ADVANTAGES
from verl_hdpo.adapters.rollout_notes import RowTexts
from verl_hdpo.outcomes.decision_spans import DECISION_SPANS_KEY
from verl_hdpo.outcomes.ledger import LEDGER_KEY, LOST_KEY, MODEL_SPANS_KEY, RUN_ERROR_KEY
from verl_hdpo.outcomes.rollout_index import RolloutIndex

EXTRA_FIELDS = ("reward_extra_info", LEDGER_KEY, LOST_KEY, RUN_ERROR_KEY, DECISION_SPANS_KEY)
"""Of an agent loop's ``extra_fields``, of which verl makes a column each (agent_loop.py, ``_postprocess``)."""

TEXT_FIELDS = ("reward_extra_info", LEDGER_KEY, CALL_LOG_KEY, MODEL_SPANS_KEY)
"""Of the same, those that a dump shows."""


class PaddedBatch:
    """A :class:`HostBatch`."""

    def __init__(self, data: DataProto):
        self._data = data

    def rows(self) -> Rows:
        columns, scores = self._data.non_tensor_batch, self._data.batch["rm_scores"]
        extra_fields = self._extra_fields(EXTRA_FIELDS)
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

    def keys(self) -> list[str]:
        """Of the rows, as trainer V1 has them: ``{uid}_{session}_{index}``."""
        sessions: Counter[str] = Counter()
        found = []
        for uid in self._data.non_tensor_batch["uid"].tolist():
            found.append(f"{uid}_{sessions[uid]}_0")
            sessions[uid] += 1
        return found

    def texts(self, keys: list[str], with_advantages: bool) -> list[RowTexts]:
        """What the rows with these keys say."""
        batch, prompts = self._data.batch, self._data.non_tensor_batch["raw_prompt"]
        lengths = batch["attention_mask"][:, batch["prompts"].shape[1] :].sum(dim=1).tolist()
        extras, rows = self._extra_fields(TEXT_FIELDS), {key: row for row, key in enumerate(self.keys())}
        return [
            RowTexts(
                batch["responses"][row, : lengths[row]].tolist(),
                batch["response_mask"][row, : lengths[row]],
                extras[row],
                prompts[row],
                batch["advantages"][row, : lengths[row]] if with_advantages else None,
            )
            for row in map(rows.__getitem__, keys)
        ]

    def _extra_fields(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Of each row; verl fills in None where a rollout's agent loop had no such field."""
        columns = {name: column for name, column in self._data.non_tensor_batch.items() if name in names}
        return [
            {name: column[row] for name, column in columns.items() if column[row] is not None}
            for row in range(len(self._data))
        ]
