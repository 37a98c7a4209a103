"""The RL run: stock ``verl.trainer.main_ppo``, told to use this package's parts by name."""

from __future__ import annotations

from pathlib import Path

from verl_hdpo.runs.quoted import quoted

HERE = Path(__file__).parent
ROLLOUTS = 4
PROMPT_TOKENS, RESPONSE_TOKENS = 512, 256


def overrides(algo: str, cold_start: Path, seed: int, steps: int, prompts: int) -> list[str]:
    """Hydra overrides of the run, after those of ``verl_hdpo.runs.cpu_settings``."""
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    return [
        f"algorithm.adv_estimator={algo}",
        "+algorithm.hdpo.observe=true",  # log tool use with any estimator
        "+algorithm.hdpo.max_tool_calls=3",
        "+algorithm.hdpo.tool_timeout=10",
        "reward.reward_manager.name=hdpo",
        f"{rollout}.agent.default_agent_loop=hdpo_tool_agent",
        f"{rollout}.multi_turn.enable=True",
        f"{rollout}.multi_turn.format=hermes",
        f"{rollout}.multi_turn.function_tool_path={quoted(HERE / 'calculator.py')}",
        f"{rollout}.multi_turn.max_assistant_turns=4",
        f"actor_rollout_ref.model.path={quoted(cold_start / 'model')}",
        f"data.train_files={quoted(cold_start / 'train.parquet')}",
        f"data.val_files={quoted(cold_start / 'train.parquet')}",  # verl wants one; no validation is run
        f"data.train_batch_size={prompts}",
        f"data.max_prompt_length={PROMPT_TOKENS}",
        f"data.max_response_length={RESPONSE_TOKENS}",
        f"data.seed={seed}",
        f"{rollout}.seed={seed}",
        f"{rollout}.n={ROLLOUTS}",
        f"{rollout}.max_num_seqs=32",
        # The embedding alone is 113 MB, and a vocabulary of 49,152 makes logits large: about 0.4 GB per 2,048 tokens.
        f"{rollout}.checkpoint_engine.update_weights_bucket_megabytes=256",
        f"{rollout}.log_prob_max_token_len_per_gpu=2048",
        f"{actor}.ppo_max_token_len_per_gpu=1024",
        f"{actor}.optim.lr=1e-5",
        f"{actor}.ppo_mini_batch_size={prompts}",
        f"{actor}.use_kl_loss=False",
        f"{actor}.data_loader_seed={seed}",
        "trainer.logger=[console,file]",
        "trainer.project_name=gsm8k_smollm2",
        f"trainer.experiment_name={algo}-seed{seed}",
        "trainer.val_before_train=False",
        "trainer.test_freq=-1",
        "trainer.save_freq=-1",
        "trainer.resume_mode=disable",
        f"trainer.total_training_steps={steps}",
    ]
