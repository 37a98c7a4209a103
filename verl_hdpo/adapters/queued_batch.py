"""A training batch of verl's V1 trainers, in TransferQueue."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import transfer_queue as tq
from tensordict import TensorDict
from torch import Tensor
from transfer_queue import KVBatchMeta

from verl_hdpo.adapters.host_batch import Rows, is_spoilt
from verl_hdpo.adapters.loss import TOOL_ADVANTAGES
from verl_hdpo.adapters.rollout_notes import RowTexts
from verl_hdpo.outcomes.rollout_index import RolloutIndex


class QueuedBatch:
    """A :class:`HostBatch`.

    Attributes:
        meta: of verl's last step on it. Workers fetch the fields that it names.
    """

    def __init__(self, meta: KVBatchMeta):
        self.meta = meta

    def rows(self) -> Rows:
        batch = self.meta
        index = RolloutIndex.from_keys(batch.keys, [bool(tag.get("is_padding", False)) for tag in batch.tags])
        data = tq.kv_batch_get(
            keys=[batch.keys[row] for row in index.final_B.tolist()],
            partition_id=batch.partition_id,
            select_fields=["extra_fields", "num_turns", "data_source", "rm_scores"],
        )
        extra_fields, num_turns, sources = (
            data.pop(name).tolist() for name in ("extra_fields", "num_turns", "data_source")
        )
        return Rows(index, extra_fields, num_turns, sources, data.pop("rm_scores").unbind())

    def mask(self, unknown_R: Tensor) -> None:
        partition = self.meta.partition_id
        keys = [self.meta.keys[row] for row in unknown_R.nonzero().squeeze(1).tolist()]
        masks = ["response_mask", "loss_mask"]
        data = tq.kv_batch_get(keys=keys, partition_id=partition, select_fields=[*masks, "rm_scores"])
        rows = {name: [torch.zeros_like(mask) for mask in data[name].unbind()] for name in masks}
        rows["rm_scores"] = [
            torch.zeros_like(score) if is_spoilt(score) else score for score in data["rm_scores"].unbind()
        ]
        fields = {name: torch.nested.as_nested_tensor(row, layout=torch.jagged) for name, row in rows.items()}
        tq.kv_batch_put(keys=keys, partition_id=partition, fields=TensorDict(fields, batch_size=len(keys)))

    def trained_tokens(self) -> Tensor:
        batch = self.meta
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["loss_mask"])
        return torch.stack([mask.sum() for mask in data["loss_mask"].unbind()])

    def response_masks(self) -> Sequence[Tensor]:
        batch = self.meta
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask"])
        return data["response_mask"].unbind()

    def put(self, tool_advantages: Tensor | Sequence[Tensor]) -> None:
        batch = self.meta
        if not isinstance(tool_advantages, Tensor):
            tool_advantages = torch.nested.as_nested_tensor([*tool_advantages], layout=torch.jagged)
        fields = TensorDict({TOOL_ADVANTAGES: tool_advantages}, batch_size=len(batch))
        self.meta = tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)


def queued_texts(partition_id: str, keys: list[str], with_advantages: bool) -> list[RowTexts]:
    """What the rows with these keys say."""
    fields = ["responses", "response_mask", "extra_fields", "raw_prompt", *["advantages"] * with_advantages]
    data = tq.kv_batch_get(keys=keys, partition_id=partition_id, select_fields=fields)
    extras, prompts = data.pop("extra_fields").tolist(), data.pop("raw_prompt").tolist()
    responses, masks = ([*data[name].unbind()] for name in ("responses", "response_mask"))
    advantages = data["advantages"].unbind() if with_advantages else [None] * len(keys)
    columns = zip(responses, masks, extras, prompts, advantages, strict=True)
    return [RowTexts(ids.tolist(), *others) for ids, *others in columns]
