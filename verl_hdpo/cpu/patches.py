"""The places where verl itself assumes an accelerator, changed as their modules are imported.

Each patch names the upstream line that it answers to, and fails loudly when that line is no longer there.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable
from random import SystemRandom
from types import ModuleType
from typing import Any

from torch.distributed.fsdp import CPUOffloadPolicy
from wrapt import register_post_import_hook

POLL_SECONDS = 0.05
RENDEZVOUS_PORTS = 20_000, 32_768
"""From, to: below those that Linux hands out (net.ipv4.ip_local_port_range)."""
logger = logging.getLogger(__name__)
_installed = False


def _process_group_over_gloo(distributed: ModuleType) -> None:
    """verl/utils/distributed.py, ``initialize_global_process_group_ray``:

    ``backend = backend or f"cpu:gloo,{get_device_name()}:{get_nccl_backend()}"`` is "cpu:gloo,cpu:gloo" here,
    which torch refuses (a device type twice). The same in 0.9.0 and 0.9.1. ``initialize_global_process_group``, which
    the SFT trainer calls, has the same line and takes no backend.
    """
    function = distributed.initialize_global_process_group_ray
    if [*inspect.signature(function).parameters] != ["timeout_second", "backend"]:
        raise RuntimeError(f"unexpected signature {inspect.signature(function)} of {function.__qualname__}")
    function.__defaults__ = (None, "cpu:gloo")
    if not hasattr(distributed, "initialize_global_process_group"):
        raise RuntimeError("no initialize_global_process_group there to replace")

    def initialize_global_process_group(timeout_second: int = 36000) -> tuple[int, int, int]:
        function(timeout_second)
        local_rank, rank, world_size = (int(os.environ[name]) for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE"))
        return local_rank, rank, world_size

    vars(distributed)["initialize_global_process_group"] = initialize_global_process_group


class UnpinnedOffload(CPUOffloadPolicy):
    """FSDP2's parameter offload without pinned memory, which only an accelerator has."""

    def __init__(self, pin_memory: bool = False):
        super().__init__(pin_memory=False)


def _reference_model_unpinned(transformer_impl: ModuleType) -> None:
    """verl/workers/engine/fsdp/transformer_impl.py pins what forward-only engines offload."""
    if not hasattr(transformer_impl, "CPUOffloadPolicy"):
        raise RuntimeError("no CPUOffloadPolicy there to replace")
    vars(transformer_impl)["CPUOffloadPolicy"] = UnpinnedOffload


def _critic_with_sdpa(model: ModuleType) -> None:
    """verl/utils/model.py, ``load_valuehead_model``, asks for flash_attention_2 whatever the config says."""
    if not hasattr(model, "load_valuehead_model"):
        raise RuntimeError("no load_valuehead_model there to replace")

    def load_valuehead_model(local_path: str, torch_dtype: Any, model_config: Any, trust_remote_code: bool) -> Any:
        from transformers import AutoModelForTokenClassification

        return AutoModelForTokenClassification.from_pretrained(  # nosec B615
            local_path, torch_dtype=torch_dtype, config=model_config, trust_remote_code=trust_remote_code
        )

    vars(model)["load_valuehead_model"] = load_valuehead_model


def _poll_rollouts_quickly(replay_buffer: ModuleType) -> None:
    """verl/trainer/ppo/v1/replay_buffer.py polls for finished rollouts every 2 s; a small batch takes less.

    ``custom_sampler`` could subclass the buffer instead, but the trainer does not hand ``filter_groups`` to
    one.
    """
    init = replay_buffer.ReplayBuffer.__init__
    if "poll_interval" not in inspect.signature(init).parameters:
        raise RuntimeError("ReplayBuffer takes no poll_interval")

    @functools.wraps(init)
    def polling_quickly(self: Any, *args: Any, poll_interval: float = POLL_SECONDS, **kwargs: Any) -> None:
        init(self, *args, poll_interval=poll_interval, **kwargs)

    replay_buffer.ReplayBuffer.__init__ = polling_quickly


def _rendezvous_port_that_nobody_is_given(base: ModuleType) -> None:
    """verl/single_controller/ray/base.py, ``get_master_addr_port``: ``s.bind(("", 0))`` finds a port, and closes it.

    The first worker listens on it seconds later, when it has imported torch; until then the kernel may give the port to
    any other process that asks for one ("address already in use"). Those of ``RENDEZVOUS_PORTS`` it gives to nobody.
    """
    init = base.RayWorkerGroup.__init__
    if "master_port_range" not in inspect.getsource(init):
        raise RuntimeError("RayWorkerGroup takes no master_port_range")

    @functools.wraps(init)
    def with_port_range(self: Any, *args: Any, **kwargs: Any) -> None:
        low, high = RENDEZVOUS_PORTS
        kwargs.setdefault("master_port_range", [SystemRandom().randrange(low, high - 100), high])
        init(self, *args, **kwargs)

    base.RayWorkerGroup.__init__ = with_port_range


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "verl.utils.distributed": _process_group_over_gloo,
    "verl.workers.engine.fsdp.transformer_impl": _reference_model_unpinned,
    "verl.utils.model": _critic_with_sdpa,
    "verl.trainer.ppo.v1.replay_buffer": _poll_rollouts_quickly,
    "verl.single_controller.ray.base": _rendezvous_port_that_nobody_is_given,
}


def _loud(patch: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    @functools.wraps(patch)
    def hook(module: ModuleType) -> None:
        try:
            patch(module)
        except Exception:
            logger.exception("the CPU platform could not patch %s; use verl 0.9.0 or 0.9.1", module.__name__)
            raise

    return hook


def install() -> None:
    """Patch each module when it is imported, or now if it is already; a second call does nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    for name, patch in PATCHES.items():
        register_post_import_hook(_loud(patch), name)
