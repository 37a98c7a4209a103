"""The rewards of a batch whose judge is verl's reward model on the actor's own GPUs, where it sleeps during rollouts.

verl then rewards whole batches, and shows a reward model no more than prompt and response (trainer_base.py,
``_compute_reward_colocate``). The reward manager needs what it gets in an agent loop: the ground truth and the ledger.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from tensordict import NonTensorStack, TensorDict
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transfer_queue import KVBatchMeta
from verl import DataProto
from verl.experimental.reward_loop import RewardLoopManager

from verl_hdpo.outcomes.rollout_index import RolloutIndex

ROW = ("raw_prompt", "reward_model", "data_source", "extra_info")
"""Of a data set's row, what a reward manager reads."""


def reward(manager: RewardLoopManager, batch: KVBatchMeta) -> None:
    """Have the reward model woken, every rollout rewarded by its last output, and what came of it written to its rows.

    It lies where agent loops put it: ``rm_scores``, and ``extra_fields["reward_extra_info"]``.
    """
    index = RolloutIndex.from_keys(batch.keys, [False] * len(batch.keys))  # padding rows come later
    keys = [batch.keys[row] for row in index.final_B.tolist()]
    fields = ["prompts", "responses", "extra_fields", "num_turns", *ROW]
    found = manager.compute_rm_score(_rollouts(_get(batch, keys, fields)))
    infos = [
        {name: found.non_tensor_batch[name][rollout] for name in found.meta_info["reward_extra_keys"]}
        for rollout in range(len(keys))
    ]
    rows = _get(batch, batch.keys, ["responses", "extra_fields"])
    scores_B = found.batch["rm_scores"].sum(dim=1)
    scores = [_at_the_end(row, score) for row, score in zip(rows["responses"], index.spread(scores_B), strict=True)]
    reported = [
        {**extra, "reward_extra_info": _plain(infos[rollout])}
        for extra, rollout in zip(rows["extra_fields"], index.rollout_R.tolist(), strict=True)
    ]
    written = {
        "rm_scores": torch.nested.as_nested_tensor(scores, layout=torch.jagged),
        "extra_fields": NonTensorStack(*reported),
    }
    tq.kv_batch_put(
        keys=batch.keys, partition_id=batch.partition_id, fields=TensorDict(written, batch_size=len(batch.keys))
    )


def _get(batch: KVBatchMeta, keys: list[str], fields: list[str]) -> dict[str, list[Any]]:
    data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=fields)
    tensors = {name: list(data[name].unbind()) for name in fields if isinstance(data[name], Tensor)}
    return {name: tensors[name] if name in tensors else data.pop(name).tolist() for name in fields}


def _rollouts(rows: dict[str, list[Any]]) -> DataProto:
    """As an agent loop sends each of them to a reward worker (agent_loop.py, ``_compute_score``)."""
    prompts, responses = rows["prompts"], rows["responses"]
    parts = {"prompts": prompts, "responses": responses}
    tensors = {name: pad_sequence(part, batch_first=True) for name, part in parts.items()}
    masks = [pad_sequence([torch.ones_like(one) for one in part], batch_first=True) for part in parts.values()]
    others = {name: rows[name] for name in ROW} | {
        "__num_turns__": [int(turns) for turns in rows["num_turns"]],
        "tool_extra_fields": rows["extra_fields"],
        "response_len": [len(response) for response in responses],
    }
    batch = TensorDict({**tensors, "attention_mask": torch.cat(masks, dim=1)}, batch_size=len(responses))
    return DataProto(batch=batch, non_tensor_batch={name: _objects(values) for name, values in others.items()})


def _objects(values: list[Any]) -> np.ndarray:
    """An array of them as they are, where ``np.array`` would look into lists."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _at_the_end(response_T: Tensor, score: Tensor) -> Tensor:
    scores_T = torch.zeros(len(response_T), dtype=torch.float32)
    scores_T[-1] = score
    return scores_T


def _plain(info: dict[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in info.items()}
