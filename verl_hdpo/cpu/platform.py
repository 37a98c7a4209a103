"""``PlatformCPU``: verl's platform interface answered for a machine without an accelerator."""

from __future__ import annotations

import resource
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry


def _peak_rss_bytes(*_: Any) -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _free_and_total_bytes(*_: Any) -> tuple[int, int]:
    import psutil

    memory = psutil.virtual_memory()
    return memory.available, memory.total


class _CpuModule(types.ModuleType):
    """``torch.cpu`` plus the calls that verl makes on ``get_torch_device()`` and ``torch.cpu`` lacks.

    They are made in verl/utils/memory_utils.py, verl/utils/profiler/performance.py and the checkpoint
    managers.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)

    get_device_name = staticmethod(lambda *_: "CPU")
    empty_cache = staticmethod(lambda *_: None)
    ipc_collect = staticmethod(lambda *_: None)
    memory_allocated = staticmethod(lambda *_: 0)
    memory_reserved = staticmethod(lambda *_: 0)
    max_memory_allocated = staticmethod(_peak_rss_bytes)
    max_memory_reserved = staticmethod(_peak_rss_bytes)
    reset_peak_memory_stats = staticmethod(lambda *_: None)
    mem_get_info = staticmethod(_free_and_total_bytes)
    get_rng_state = staticmethod(lambda *_: torch.get_rng_state())
    set_rng_state = staticmethod(lambda state, *_: torch.set_rng_state(state))
    manual_seed = staticmethod(lambda seed: torch.manual_seed(seed))
    manual_seed_all = staticmethod(lambda seed: torch.manual_seed(seed))


class PlatformCPU(PlatformBase):
    """Every device call is a no-op, or answered from the host's memory."""

    device_name = "cpu"
    vendor_name = "cpu"
    device_module = _CpuModule("torch.cpu")

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        return False  # never chosen by auto-detection, only by VERL_PLATFORM=cpu

    def current_device(self) -> str:
        return "cpu"  # verl/utils/device.py hands this to Tensor.to(), where an int means an accelerator

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None:
        pass

    def synchronize(self, device_index: int | None = None) -> None:
        pass

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        pass

    def empty_cache(self) -> None:
        pass

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def profiler_start(self) -> None:
        pass

    def profiler_stop(self) -> None:
        pass

    def ray_resource_name(self) -> str:
        # verl/single_controller/ray/base.py counts "GPU" or "NPU" only. ray_kwargs.ray_init.num_gpus=N on the
        # command line gives Ray N slots to book; nothing stands behind them.
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        return False  # weights then go to vLLM through POSIX shared memory

    def cudart(self) -> None:
        return None


def register() -> None:
    """Make ``VERL_PLATFORM=cpu`` known to verl (a second call overwrites the first, with the same class)."""
    PlatformRegistry.register(platform="cpu")(PlatformCPU)
