"""The controller's advantage step on a real TransferQueue: verl's with GRPO and this package's with HDPO, same rows.

``write_once`` is one ``kv_batch_put`` of what the HDPO step writes, made beforehand: what no step can do without.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import ray
import torch
import transfer_queue as tq
from hydra import compose, initialize_config_module
from tensordict import NonTensorStack, TensorDict
from transfer_queue import KVBatchMeta
from transfer_queue.utils.zmq_utils import ZMQMessage
from verl.trainer.ppo.v1 import PPOTrainerSync, get_trainer_cls
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from hdpo_cost.pairs import compared, in_turn, ratio
from hdpo_cost.rollouts import GROUP, SOURCES, extra_fields, keys
from verl_hdpo.adapters.advantage_step import AdvantageStep
from verl_hdpo.adapters.loss import TOOL_ADVANTAGES
from verl_hdpo.adapters.run_settings import run_settings

PUT_AT_ONCE = 2048  # rows


def measure(shapes: list[tuple[int, int, int]]) -> list[dict[str, object]]:
    """``shapes``: rollouts, most response tokens (they have half of that and more), and rounds to time."""
    with tempfile.TemporaryDirectory(prefix="vh") as directory:  # Ray's sockets need a short path
        ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False, _temp_dir=directory)
        tq.init()
        try:
            return [step(*shape) for shape in shapes]
        finally:
            tq.close()
            ray.shutdown()


def step(rollouts: int, tokens: int, rounds: int) -> dict[str, object]:
    batch, trainers = put(rollouts, tokens), {way: make_trainer(way, rollouts) for way in ("grpo", "hdpo")}
    try:
        run = {way: partial(trainer._compute_advantage, batch, {}) for way, trainer in trainers.items()}
        moved = {}
        for way, one_step in run.items():
            with counted() as moved[way]:
                one_step()
        written = tq.kv_batch_get(batch.keys, batch.partition_id, ["advantages", "returns", TOOL_ADVANTAGES])
        write_once = partial(tq.kv_batch_put, batch.keys, batch.partition_id, written)
        samples = in_turn({**run, "write_once": write_once}, rounds)
        return {
            "rollouts": rollouts,
            "response_tokens": tokens,
            **compared(samples["grpo"], samples["hdpo"]),
            "over_write_once": {way: ratio(samples["write_once"].wall, samples[way].wall) for way in ("grpo", "hdpo")},
            "bytes": {
                "grpo": moved["grpo"],
                "hdpo": moved["hdpo"],
                "added_per_rollout": {
                    way: round((moved["hdpo"][way] - moved["grpo"][way]) / rollouts, 1) for way in ("written", "read")
                },
            },
        }
    finally:
        tq.kv_clear(batch.keys, batch.partition_id)


def make_trainer(estimator: str, rollouts: int) -> PPOTrainer:
    """verl's trainer without its workers; with HDPO its HDPO-aware subclass."""
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose(
            "ppo_trainer",
            [
                f"algorithm.adv_estimator={estimator}",
                f"actor_rollout_ref.rollout.n={GROUP}",
                f"data.train_batch_size={rollouts // GROUP}",
            ],
        )
    trainer = object.__new__(PPOTrainerSync if estimator == "grpo" else get_trainer_cls("sync"))
    settings = run_settings(config)
    trainer.config, trainer.parameter_sync_step = config, 1
    trainer.hdpo = AdvantageStep(settings, config) if settings else None
    return trainer


def put(rollouts: int, tokens: int) -> KVBatchMeta:
    """Rows in TransferQueue, with the fields that an advantage step reads."""
    names, extra = keys(rollouts), extra_fields(rollouts)
    g = torch.Generator().manual_seed(0)
    lengths = torch.randint((tokens + 1) // 2, tokens + 1, (rollouts,), generator=g).tolist()
    for start in range(0, rollouts, PUT_AT_ONCE):
        rows = slice(start, start + PUT_AT_ONCE)
        fields = _fields(names[rows], extra[rows], lengths[rows], g)
        tq.kv_batch_put(names[rows], "train", fields, tags=[{}] * len(names[rows]))
    return KVBatchMeta(keys=names, tags=[{}] * rollouts, partition_id="train", fields=sorted(fields.keys()))


def _fields(names: list[str], extra: list[dict], lengths: list[int], g: torch.Generator) -> TensorDict:
    def jagged(rows: list[torch.Tensor]) -> torch.Tensor:
        return torch.nested.as_nested_tensor(rows, layout=torch.jagged)

    scores = [torch.zeros(n) for n in lengths]
    for score, fields in zip(scores, extra, strict=True):
        score[-1] = fields["reward_extra_info"]["acc"]
    return TensorDict(
        {
            "uid": NonTensorStack(*[name.partition("_")[0] for name in names]),
            "response_mask": jagged([torch.ones(n, dtype=torch.int64) for n in lengths]),
            "rm_scores": jagged(scores),
            "rollout_log_probs": jagged([torch.randn(n, generator=g) for n in lengths]),
            "old_log_probs": jagged([torch.randn(n, generator=g) for n in lengths]),
            "extra_fields": NonTensorStack(*extra),
            "data_source": NonTensorStack(*[SOURCES[i // GROUP % 2] for i in range(len(names))]),
            "num_turns": torch.full((len(names),), 4),
        },
        batch_size=len(names),
    )


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Bytes of the messages that this process sends to TransferQueue and gets from it."""
    moved = {"written": 0, "read": 0}
    serialize, deserialize = ZMQMessage.serialize, ZMQMessage.__dict__["deserialize"]

    def size(frames: list) -> int:
        return sum(memoryview(frame).nbytes for frame in frames)

    def sending(message: ZMQMessage) -> list:
        frames = serialize(message)
        moved["written"] += size(frames)
        return frames

    def getting(cls: type[ZMQMessage], frames: list) -> ZMQMessage:
        moved["read"] += size(frames)
        return deserialize.__func__(cls, frames)

    ZMQMessage.serialize, ZMQMessage.deserialize = sending, classmethod(getting)
    try:
        yield moved
    finally:
        ZMQMessage.serialize, ZMQMessage.deserialize = serialize, deserialize
