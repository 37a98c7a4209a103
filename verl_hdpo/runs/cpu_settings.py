"""What a verl run on the CPU needs around it: environment variables and hydra overrides."""

from __future__ import annotations

import os
from pathlib import Path

from verl_hdpo.runs.forked_workers import py_executable
from verl_hdpo.runs.quoted import quoted

ENVIRONMENT: dict[str, str] = {
    "VERL_PLATFORM": "cpu",
    # verl/workers/engine/base.py has the FSDP engines for "cuda" and "npu" only; they run on the CPU as they
    # are.
    "VERL_ENGINE_DEVICE": "cuda",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    # vllm/platforms/cpu.py asks for ``use_mla``, which looks up the first architecture of the text model, and that of a
    # Qwen3-VL has none (vllm/config/model.py). vLLM asks this first, and small models have no MLA.
    "VLLM_MLA_DISABLE": "1",
    # Ray would clear the variables of the accelerators that it books but does not find.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # 15 by default, for a driver that has work of its own
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
    "OMP_NUM_THREADS": "1",
    # vLLM compiles the ranks of log-probs (vllm/v1/sample/ops/logprobs.py) in C++ for every run, which takes longer
    # than it saves.
    "TORCHDYNAMO_DISABLE": "1",
    "HYDRA_FULL_ERROR": "1",
    # verl/trainer/ppo/v1/trainer_separate_async.py:181 calls logger.info(..., flush=True), a TypeError at
    # INFO.
    "VERL_LOGGING_LEVEL": "WARNING",
    "PYTHONUNBUFFERED": "1",
}


def on_cpu(asked: bool = False) -> bool:
    """Whether verl is to run on the CPU, ``asked`` or by ``VERL_PLATFORM=cpu``; then in child processes too."""
    if asked:
        os.environ["VERL_PLATFORM"] = "cpu"
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def cpu_overrides(world_size: int = 1, ray_dir: Path | str | None = None) -> list[str]:
    """Hydra overrides with which stock ``verl.trainer.main_ppo`` trains in float32 on the CPU.

    Args:
        world_size: training ranks, which are also the slots that Ray books as GPUs.
        ray_dir: Ray's temp dir; keep it short, sockets in it have paths of at most about 100 characters.
    """
    actor, rollout, ray_init = "actor_rollout_ref.actor", "actor_rollout_ref.rollout", "ray_kwargs.ray_init"
    overrides = [
        f"{ray_init}.num_cpus=32",  # book-keeping too: verl asks for more than a small machine has
        f"++{ray_init}.num_gpus={world_size}",
        f"++{ray_init}.include_dashboard=False",
        f"++{ray_init}.object_store_memory=500000000",
        "actor_rollout_ref.model.use_remove_padding=False",
        "++actor_rollout_ref.model.override_config.attn_implementation=sdpa",  # default: flash_attention_2
        "actor_rollout_ref.model.enable_gradient_checkpointing=False",
        f"{actor}.strategy=fsdp2",  # FSDP1 fails on the CPU in sync_module_states
        f"{actor}.fsdp_config.model_dtype=float32",
        f"++{actor}.fsdp_config.mixed_precision.param_dtype=fp32",
        f"{actor}.use_torch_compile=False",
        f"{actor}.fsdp_config.use_torch_compile=False",
        f"{actor}.use_dynamic_bsz=True",
        f"{actor}.ppo_max_token_len_per_gpu=65536",
        f"{rollout}.log_prob_max_token_len_per_gpu=65536",
        f"{rollout}.name=vllm",
        f"{rollout}.dtype=float32",
        f"{rollout}.tensor_model_parallel_size=1",
        f"{rollout}.enforce_eager=True",
        f"{rollout}.free_cache_engine=False",
        f"++{rollout}.enable_sleep_mode=False",  # vllm_async_server.py asks for it, the CPU has none
        f"{rollout}.gpu_memory_utilization=0.1",
        f"{rollout}.checkpoint_engine.update_weights_bucket_megabytes=64",
        f"{rollout}.agent.num_workers=1",
        "reward.num_workers=1",
        "data.dataloader_num_workers=0",
        "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
        "trainer.device=cpu",
        "trainer.nnodes=1",
        f"trainer.n_gpus_per_node={world_size}",
    ]
    if ray_dir is not None:
        overrides.append(f"++{ray_init}._temp_dir={ray_dir}")
        overrides.append(f"++{ray_init}.runtime_env.py_executable={quoted(py_executable())}")
    return overrides
