"""The RL run as overrides of stock verl, the same for every algorithm and seed."""

from __future__ import annotations

import os
from pathlib import Path

from verl_hdpo.runs.quoted import quoted

PROMPTS, ROLLOUTS = 6, 8
PROMPT_TOKENS, RESPONSE_TOKENS = 256, 96


def pipeline(start: Path, tools: Path, steps: int, cpu: bool) -> list[str]:
    """Overrides of a run that begins with the model and the questions in ``start``."""
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    common = [
        "reward.reward_manager.name=hdpo",
        f"{rollout}.agent.default_agent_loop=hdpo_tool_agent",
        f"{rollout}.multi_turn.enable=True",
        f"{rollout}.multi_turn.format=hermes",
        f"{rollout}.multi_turn.function_tool_path={quoted(tools)}",
        f"{rollout}.multi_turn.max_assistant_turns=2",
        f"actor_rollout_ref.model.path={quoted(start / 'model')}",
        f"data.train_files={quoted(start / 'train.parquet')}",
        f"data.val_files={quoted(start / 'validation.parquet')}",
        f"data.train_batch_size={PROMPTS}",
        f"data.max_prompt_length={PROMPT_TOKENS}",
        f"data.max_response_length={RESPONSE_TOKENS}",
        f"{rollout}.n={ROLLOUTS}",
        f"{rollout}.val_kwargs.do_sample=True",
        f"{rollout}.val_kwargs.temperature=1.0",
        f"{actor}.optim.lr=1e-5",
        f"{actor}.optim.lr_scheduler_type=cosine",
        f"{actor}.ppo_mini_batch_size={PROMPTS}",
        f"{actor}.use_kl_loss=False",
        "trainer.val_before_train=False",
        f"trainer.test_freq={steps}",
        "trainer.save_freq=4",  # a run that is stopped goes on from there
        "trainer.max_actor_ckpt_to_keep=1",
        "trainer.total_epochs=1000",
        f"trainer.total_training_steps={steps}",
    ]
    return common + (_on_cpu() if cpu else _on_one_gpu())


def _on_cpu() -> list[str]:
    # A vocabulary of 49,152 makes logits large: about 0.4 GB per 2,048 tokens.
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    threads = os.cpu_count() or 1  # the matrices are large enough for all cores
    return [
        f"++ray_kwargs.ray_init.runtime_env.env_vars.OMP_NUM_THREADS='{threads}'",
        f"{rollout}.max_num_seqs=64",
        f"{rollout}.dtype=bfloat16",
        f"++{actor}.fsdp_config.mixed_precision.param_dtype=bf16",
        f"{rollout}.checkpoint_engine.update_weights_bucket_megabytes=256",
        f"{rollout}.log_prob_max_token_len_per_gpu=4096",
        f"{actor}.ppo_max_token_len_per_gpu=2048",
    ]


def _on_one_gpu() -> list[str]:
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    return [
        "trainer.nnodes=1",
        "trainer.n_gpus_per_node=1",
        f"{actor}.strategy=fsdp2",
        f"{actor}.use_dynamic_bsz=True",
        f"{actor}.ppo_max_token_len_per_gpu=32768",
        f"{rollout}.name=vllm",
        f"{rollout}.log_prob_max_token_len_per_gpu=65536",
        f"{rollout}.tensor_model_parallel_size=1",
        f"{rollout}.gpu_memory_utilization=0.4",
    ]
