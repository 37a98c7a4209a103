"""``shm``: weights go from trainer to standalone rollout on one host through a file in shared memory.

For ``trainer_mode=separate_async``, whose stock checkpoint engines need a GPU or RDMA:
``checkpoint_engine.custom_backend_module=verl_hdpo.cpu.checkpoint_engine``,
``checkpoint_engine.backend=shm``.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import torch
from verl.checkpoint_engine.base import CheckpointEngine, CheckpointEngineRegistry
from verl.workers.rollout.utils import ensure_async_iterator

SHARED_MEMORY = Path("/dev/shm")
RECEIVE_SECONDS = 3600.0
"""A hang, not a slow machine: the trainer writes as soon as it has gathered its weights."""


@CheckpointEngineRegistry.register("shm")
class ShmCheckpointEngine(CheckpointEngine):
    """The master rank writes the whole state once; every receiver maps it."""

    def __init__(self, bucket_size: int, is_master: bool = False, **_: Any):
        self.is_master = is_master
        self.path = SHARED_MEMORY / "unset"

    def prepare(self) -> dict[str, Any]:
        return {"path": str(SHARED_MEMORY / f"verl_weights_{uuid.uuid4().hex}")}

    @classmethod
    def build_topology(
        cls, actor_wg_world_size: int, rollout_world_size: int, metadata: list[dict]
    ) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        path = metadata[0]["path"]
        return {"path": [path] * actor_wg_world_size}, {"path": [path] * rollout_world_size}

    def init_process_group(self, path: str) -> None:
        self.path = Path(path)

    def finalize(self) -> None:
        if self.is_master:
            self.path.unlink(missing_ok=True)

    async def send_weights(self, weights: Any, global_steps: int | None = None) -> None:
        state = {}
        async for name, tensor in ensure_async_iterator(weights):  # every rank takes part in the all-gathers
            if self.is_master:
                state[name] = tensor.detach().clone()
        if self.is_master:
            part = self.path.with_suffix(".part")
            torch.save(state, part)
            os.rename(part, self.path)  # receivers see the whole file or none

    async def receive_weights(self, global_steps: int | None = None) -> AsyncIterator[tuple[str, torch.Tensor]]:
        deadline = asyncio.get_running_loop().time() + RECEIVE_SECONDS
        while not self.path.exists():
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"no weights in {self.path} after {RECEIVE_SECONDS:.0f} s: did the trainer die?")
            await asyncio.sleep(0.01)
        for item in torch.load(self.path, mmap=True).items():  # nosec B614
            yield item
