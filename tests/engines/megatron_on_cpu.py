"""megatron-core, mbridge and verl's Megatron engine on a CPU over gloo. Test code: no run depends on it.

Replaced are the device (megatron-core names "cuda" in schedules, buffers and communication), its random-state tracker
(there is no dropout, and weights are loaded), and the layers that only Transformer Engine has. Schedules, tensor,
pipeline, context and data parallelism, gradient buffers and optimizers are megatron-core's own.
"""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

TRANSFORMER_CONFIG = {
    "use_cpu_initialization": True,
    "masked_softmax_fusion": False,
    "gradient_accumulation_fusion": False,
    "bias_dropout_fusion": False,
    "bias_activation_fusion": False,
    "apply_rope_fusion": False,
    "persist_layer_norm": False,
}
"""verl's ``override_transformer_config``: no fused GPU kernels."""

_redirect: TorchFunctionMode | None = None


def activate() -> None:
    """Once per process, before the engine is built; a second call does nothing."""
    global _redirect
    if _redirect is not None:
        return
    _redirect = _CudaIsCpu()
    _redirect.__enter__()
    _replace_cuda_calls()

    from megatron.core.tensor_parallel.random import CudaRNGStatesTracker
    from megatron.core.transformer.moe import moe_utils, token_dispatcher
    from megatron.core.transformer.torch_norm import WrappedTorchNorm

    CudaRNGStatesTracker.fork = lambda self, name="": contextlib.nullcontext()
    WrappedTorchNorm.__new__ = staticmethod(_rms_norm)
    moe_utils.te_general_gemm = None  # without Transformer Engine it asks for a name that it has not imported
    token_dispatcher.maybe_move_tensor_to_cpu = _already_on_cpu
    _use_local_layers()
    _copy_token_count()


class _CudaIsCpu(TorchFunctionMode):
    """Torch functions that are asked for "cuda", or a device by number, work on the CPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "cuda" and args and isinstance(args[0], Tensor):
            return args[0]
        if name == "type" and len(args) == 1 and not kwargs:
            # megatron/core/optimizer compares with "torch.cuda.FloatTensor"
            return func(*args).replace("torch.", "torch.cuda.")
        if "device" in kwargs:
            kwargs = {**kwargs, "device": _cpu(kwargs["device"])}
        if name == "to" and len(args) > 1 and (type(args[1]) is int or isinstance(args[1], str | torch.device)):
            args = (args[0], _cpu(args[1]), *args[2:])
        return func(*args, **kwargs)


def _cpu(device: Any) -> Any:
    return "cpu" if isinstance(device, int) or str(device).startswith("cuda") else device


def _replace_cuda_calls() -> None:
    event = SimpleNamespace(synchronize=lambda: None)
    stream = SimpleNamespace(
        wait_stream=lambda other: None,
        synchronize=lambda: None,
        record_event=lambda: event,
        wait_event=lambda other: None,
    )
    calls = {
        "current_device": lambda: torch.device("cpu"),
        "Stream": lambda *args, **kwargs: stream,
        "current_stream": lambda *args: stream,
        "default_stream": lambda *args: stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "synchronize": lambda *args: None,
        "empty_cache": lambda: None,
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        "get_rng_state": lambda *args: torch.get_rng_state(),
        "set_rng_state": lambda state, *args: torch.set_rng_state(state),
        "memory_allocated": lambda *args: 0,
        "max_memory_allocated": lambda *args: 0,
        "memory_reserved": lambda *args: 0,
        "max_memory_reserved": lambda *args: 0,
    }
    for name, call in calls.items():
        setattr(torch.cuda, name, call)
    torch.nn.Module.cuda = lambda self, *args: self


def _rms_norm(cls: type, config: Any, hidden_size: int, eps: float = 1e-5, **kwargs: Any) -> torch.nn.Module:
    """torch's RMSNorm; megatron-core's wrapper of it refuses sequence parallelism, which only needs the mark."""
    norm = torch.nn.RMSNorm(hidden_size, eps=eps)
    norm.weight.sequence_parallel = config.sequence_parallel
    return norm


def _already_on_cpu(tensor: Any, as_numpy: bool = False, record_stream: bool = False) -> Any:
    """megatron-core makes arrays of those tensors only that it moves."""
    return tensor.numpy() if as_numpy and isinstance(tensor, Tensor) else tensor


def _use_local_layers() -> None:
    """mbridge with megatron-core's own layers, whose layer norms have names of their own."""
    from mbridge.core.llm_bridge import LLMBridge
    from mbridge.models.qwen2 import Qwen2Bridge
    from mbridge.models.qwen2moe import Qwen2MoEBridge

    def layers(self: LLMBridge, vp_stage: int | None = None) -> Any:
        from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
        from megatron_attention import CpuCoreAttention
        from megatron_experts import CpuExperts

        self.has_vp_stage = True
        spec = get_gpt_layer_local_spec(
            num_experts=self.config.num_moe_experts, qk_layernorm=self.config.qk_layernorm, normalization="RMSNorm"
        )
        spec.submodules.self_attention.submodules.core_attention = CpuCoreAttention
        if self.config.num_moe_experts:
            spec.submodules.mlp.submodules.experts = CpuExperts
        return spec

    LLMBridge._get_transformer_layer_spec = layers
    layer = "model.layers.{layer_number}."
    Qwen2Bridge._MLP_MAPPING["pre_mlp_layernorm.weight"] = [layer + "post_attention_layernorm.weight"]
    Qwen2MoEBridge._OTHER_MAPPING = Qwen2Bridge._OTHER_MAPPING = {
        "input_layernorm.weight": [layer + "input_layernorm.weight"]
    }


def _copy_token_count() -> None:
    """verl sums the last offset of ``input_ids`` over the ranks in place; ``.to("cuda")`` has copied it on a GPU."""
    from verl.workers.engine.megatron import MegatronEngine

    stock = MegatronEngine._routed_num_tokens
    MegatronEngine._routed_num_tokens = lambda self, data: stock(self, data).clone()
