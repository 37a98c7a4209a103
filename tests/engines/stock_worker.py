"""Stock verl's ``TrainingWorker`` for a layout, and its weights."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from layouts import Layout
from tiny_model import LORA_ALPHA, LORA_RANK
from torch.distributed.tensor import DTensor
from verl.trainer.config import CheckpointConfig
from verl.workers.config import (
    EngineConfig,
    FSDPEngineConfig,
    FSDPOptimizerConfig,
    HFModelConfig,
    McoreEngineConfig,
    McoreOptimizerConfig,
    TrainingWorkerConfig,
)
from verl.workers.engine_workers import TrainingWorker

ON_GPU = os.environ.get("VERL_PLATFORM") != "cpu"
"""Half precision, flash attention and Transformer Engine; else single precision, and their stand-ins."""
NO_SYNC = "use_no_sync_for_gradient_accumulation"
"""verl 0.9.0 has no such setting: it always leaves the synchronisation to the last micro-batch."""
HUGE = 1e12
"""Adam with both betas 0 and this epsilon takes the step lr / HUGE * gradient."""


def make_worker(layout: Layout, directory: Path) -> TrainingWorker:
    """A worker whose optimizer takes steps of plain gradient descent; see ``set_rate``."""
    engine, optimizer = _megatron(layout) if layout.engine == "megatron" else _fsdp(layout)
    adapter = {"lora_rank": LORA_RANK, "lora_alpha": LORA_ALPHA, "lora_adapter_path": str(directory / "adapter")}
    model = HFModelConfig(
        path=str(directory / "model"),
        use_remove_padding=layout.packed,
        enable_gradient_checkpointing=False,
        override_config={"attn_implementation": _attention(layout)},
        **(adapter if layout.lora else {}),
    )
    worker = TrainingWorker(
        TrainingWorkerConfig(
            model_type="language_model",
            model_config=model,
            engine_config=engine,
            optimizer_config=optimizer,
            checkpoint_config=CheckpointConfig(),
            profiler_config=None,
        )
    )
    worker.reset()
    return worker


def _attention(layout: Layout) -> str:
    if ON_GPU:
        return "flash_attention_2"
    return "varlen_on_cpu" if layout.sp > 1 else "sdpa"


def _fsdp(layout: Layout) -> tuple[EngineConfig, FSDPOptimizerConfig]:
    precision = {"param_dtype": "bf16" if ON_GPU else "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"}
    if not ON_GPU:
        import fsdp_on_cpu

        fsdp_on_cpu.activate()
    engine = FSDPEngineConfig(
        strategy=layout.engine,
        use_torch_compile=False,
        use_orig_params=True,
        mixed_precision=precision,
        ulysses_sequence_parallel_size=layout.sp,
        **({NO_SYNC: not layout.sync_every_micro_batch} if hasattr(FSDPEngineConfig, NO_SYNC) else {}),
    )
    return engine, FSDPOptimizerConfig(lr=1.0, clip_grad=1e9, weight_decay=0.0, optimizer="SGD")


def _megatron(layout: Layout) -> tuple[EngineConfig, McoreOptimizerConfig]:
    transformer_config = {"calculate_per_token_loss": True} if layout.per_token_loss else {}
    if not ON_GPU:
        import megatron_on_cpu

        megatron_on_cpu.activate()
        transformer_config |= megatron_on_cpu.TRANSFORMER_CONFIG
    engine = McoreEngineConfig(
        vanilla_mbridge=True,
        tensor_model_parallel_size=layout.tp,
        pipeline_model_parallel_size=layout.pp,
        virtual_pipeline_model_parallel_size=layout.vpp,
        context_parallel_size=layout.cp,
        expert_model_parallel_size=layout.ep,
        expert_tensor_parallel_size=1,
        sequence_parallel=layout.tp > 1,
        use_distributed_optimizer=layout.distributed_optimizer,
        override_transformer_config=transformer_config,
    )
    if not ON_GPU:
        object.__setattr__(engine, "dtype", "float32")  # the config itself allows half precision only
    optimizer = McoreOptimizerConfig(
        lr=1.0,
        clip_grad=1e9,
        weight_decay=0.0,
        betas=(0.0, 0.0),
        lr_decay_steps=10,
        override_optimizer_config={"adam_beta1": 0.0, "adam_beta2": 0.0, "adam_eps": HUGE},
    )
    return engine, optimizer


def export(worker: TrainingWorker, layout: Layout) -> dict[str, torch.Tensor]:
    """Trained weights of the whole model by their Hugging Face names; all ranks must call it."""
    if layout.engine == "megatron":
        named = worker.engine.bridge.export_weights(worker.engine.module)
    else:
        named = (
            (name.replace("_fsdp_wrapped_module.", ""), p.full_tensor() if isinstance(p, DTensor) else p)
            for name, p in named_parameters(worker)
            if p.requires_grad
        )
    return {name: p.detach().to("cpu", copy=True) for name, p in named}


def named_parameters(worker: TrainingWorker) -> list[tuple[str, torch.nn.Parameter]]:
    modules = worker.engine.module if isinstance(worker.engine.module, list) else [worker.engine.module]
    return [pair for module in modules for pair in module.named_parameters()]


def restore(worker: TrainingWorker, start: list[torch.Tensor]) -> None:
    """Give the rank's parameters these values; Megatron's optimizer has a copy of half-precision ones."""
    for (_, p), before in zip(named_parameters(worker), start, strict=True):
        p.data.copy_(before)
    if ON_GPU and isinstance(worker.engine.engine_config, McoreEngineConfig):
        worker.engine.optimizer.reload_model_params()


def set_rate(worker: TrainingWorker, rate: float) -> None:
    """The next step is weights - rate * gradient, whatever came before."""
    optimizer = worker.engine.optimizer
    if isinstance(worker.engine.engine_config, McoreEngineConfig):
        rate *= HUGE
        parts = [part.optimizer for part in getattr(optimizer, "chained_optimizers", [optimizer])]
    else:
        parts = [optimizer]
    for part in parts:
        part.state.clear()
        for group in part.param_groups:
            group["lr"] = rate
