"""Training batches of both hosts, made of the same rows, and the advantage step of trainer V1 on one."""

import numpy as np
import torch
import transfer_queue as tq
from tensordict import NonTensorStack, TensorDict
from transfer_queue import KVBatchMeta
from verl import DataProto

from verl_hdpo.outcomes.decision_spans import DECISION_SPANS_KEY
from verl_hdpo.outcomes.ledger import LEDGER_KEY, LOST_KEY, ToolLedger, ToolTally

PROMPT = 2
"""Tokens of each prompt."""


class Row:
    """One row of a batch; ``index`` counts the outputs of a session."""

    def __init__(
        self, uid, session, acc=1.0, calls=0, index=0, known=1.0, padding=False, length=4, source="s", score=None
    ):
        self.key, self.uid, self.padding, self.length = f"{uid}_{session}_{index}", uid, padding, length
        self.score, self.correct, self.calls = acc if score is None else score, acc > 0.5 and known, calls
        ledger = ToolLedger(rounds=min(calls, 1), tools={"calc": ToolTally(executed=calls)})
        self.extra_fields = {
            "reward_extra_info": {"acc": acc, "outcome_known": known, "format": 1.0},
            LEDGER_KEY: ledger.to_dict(),
        }
        self.source = source


def mask(row):
    values = torch.ones(row.length, dtype=torch.int64)
    values[1] = 0  # an observation
    return values * (not row.padding)


def rm_scores(row):
    scores = torch.zeros(row.length)
    scores[-1] = row.score
    return scores


def log_probs(name):
    """Of each row, its own; the same whenever they are asked for."""

    def make(row):
        generator = torch.Generator().manual_seed(sum(map(ord, name + row.key)))
        return -1 - torch.rand(row.length, generator=generator) / 4

    return make


LOG_PROBS = ("rollout_log_probs", "old_log_probs", "ref_log_prob")


def put(rows):
    """In TransferQueue, as verl's V1 trainers have it."""

    def jagged(make):
        return torch.nested.as_nested_tensor([make(row) for row in rows], layout=torch.jagged)

    fields = TensorDict(
        {
            "uid": NonTensorStack(*[row.uid for row in rows]),
            "response_mask": jagged(mask),
            "loss_mask": jagged(mask),
            "prompts": torch.nested.as_nested_tensor([torch.ones(PROMPT).long()] * len(rows), layout=torch.jagged),
            "responses": jagged(lambda row: torch.ones(row.length, dtype=torch.int64)),
            "rm_scores": jagged(rm_scores),
            **{name: jagged(log_probs(name)) for name in LOG_PROBS},
            "extra_fields": NonTensorStack(*[row.extra_fields for row in rows]),
            "data_source": NonTensorStack(*[row.source for row in rows]),
            "num_turns": torch.tensor([2] * len(rows)),
        },
        batch_size=len(rows),
    )
    keys, tags = [row.key for row in rows], [{"is_padding": True} if row.padding else {} for row in rows]
    tq.kv_batch_put(keys=keys, partition_id="train", fields=fields, tags=tags)
    return KVBatchMeta(keys=keys, tags=tags, partition_id="train", fields=sorted(fields.keys()))


def padded(rows):
    """As verl's classic trainer has it once its workers computed log-probs: a row for each rollout."""

    width = max(row.length for row in rows)

    def pad(make):
        return torch.stack([torch.nn.functional.pad(make(row), (0, width - row.length)) for row in rows])

    prompts = torch.ones(len(rows), PROMPT, dtype=torch.int64)
    present = torch.cat([prompts, pad(lambda row: torch.ones(row.length, dtype=torch.int64))], dim=1)
    tensors = {
        "prompts": prompts,
        "responses": pad(lambda row: torch.ones(row.length, dtype=torch.int64)),
        "input_ids": present,
        "attention_mask": present,
        "position_ids": present.cumsum(dim=1) - 1,
        "response_mask": pad(mask),
        "rm_scores": pad(rm_scores),
        **{name: pad(log_probs(name)) for name in LOG_PROBS},
    }
    keys = ["reward_extra_info", LEDGER_KEY, LOST_KEY, DECISION_SPANS_KEY]
    columns = {
        "uid": [row.uid for row in rows],
        "data_source": [row.source for row in rows],
        **{key: [row.extra_fields.get(key) for row in rows] for key in keys},
    }
    objects = {name: np.array([*values, None], dtype=object)[:-1] for name, values in columns.items()}
    turns = np.array([2] * len(rows), dtype=np.int32)
    return DataProto.from_dict(tensors=tensors, non_tensors={**objects, "__num_turns__": turns})


def advantage_step(trainer, rows):
    batch, metrics = put(rows), {}
    try:
        batch = trainer._compute_advantage(batch, metrics)
        data = tq.kv_batch_get(keys=batch.keys, partition_id="train")
        return batch, metrics, data
    finally:
        tq.kv_clear(keys=[row.key for row in rows], partition_id="train")


def per_row(data, name):
    """The value of each row's first token, after checking that all model tokens share it and the others have 0."""
    values = []
    for row, mask in zip(data[name].unbind(), data["response_mask"].unbind(), strict=True):
        assert torch.equal(row, row[0] * mask)
        values.append(row[0].item())
    return values


MIXED = [
    Row("a", 0, acc=1.0, calls=0),
    Row("a", 1, acc=1.0, calls=1, length=6),
    Row("a", 2, acc=1.0, calls=2),
    Row("a", 3, acc=0.0, calls=0),
    Row("b", 0, acc=0.0, calls=3),
    Row("b", 1, acc=1.0, calls=3, length=5),
]
