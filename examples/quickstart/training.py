"""The RL run: stock ``verl.trainer.main_ppo``, told to use this package's parts by name."""

from __future__ import annotations

from pathlib import Path

from verl_hdpo.runs.quoted import quoted

HERE = Path(__file__).parent
TOOLS = HERE / "tools.py"
PROMPTS, ROLLOUTS, STEPS = 12, 16, 32
ROLLOUT_DUMP, VALIDATION_DUMP = "rollouts", "validation"


def trained_model(run_dir: Path, steps: int) -> Path:
    """Where verl leaves the trained model, in Hugging Face's format."""
    return run_dir / "checkpoints" / f"global_step_{steps}" / "actor" / "huggingface"


def overrides(algo: str, cold_start: Path, seed: int, steps: int) -> list[str]:
    """Hydra overrides of the run, after those of ``verl_hdpo.runs.cpu_settings``.

    Between HDPO and GRPO one word differs: ``algorithm.adv_estimator``.
    """
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    return [
        f"algorithm.adv_estimator={algo}",
        "+algorithm.hdpo.observe=true",  # log tool use with any estimator
        f"data.seed={seed}",
        f"{rollout}.seed={seed}",
        f"{actor}.data_loader_seed={seed}",
        *pipeline(cold_start, steps),
        "trainer.logger=[console,file]",
        "trainer.project_name=quickstart",
        f"trainer.experiment_name={algo}-seed{seed}",
        "trainer.val_before_train=True",
        f"trainer.save_freq={steps}",
        "trainer.default_local_dir=checkpoints",  # in the run's folder, as the next two
        f"trainer.rollout_data_dir={ROLLOUT_DUMP}",
        f"trainer.validation_data_dir={VALIDATION_DUMP}",
        f"{actor}.checkpoint.save_contents=[hf_model]",
        "trainer.resume_mode=disable",
    ]


def pipeline(cold_start: Path, steps: int, tools: Path = TOOLS) -> list[str]:
    """What is the same for every algorithm and seed."""
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    return [
        "reward.reward_manager.name=hdpo",
        f"{rollout}.agent.default_agent_loop=hdpo_tool_agent",
        f"{rollout}.agent.num_workers=2",  # with a model this small the agent loops are most of a step
        f"{rollout}.multi_turn.enable=True",
        f"{rollout}.multi_turn.format=hermes",
        f"{rollout}.multi_turn.function_tool_path={quoted(tools)}",
        f"{rollout}.multi_turn.max_assistant_turns=2",
        f"actor_rollout_ref.model.path={quoted(cold_start / 'model')}",
        f"data.train_files={quoted(cold_start / 'train.parquet')}",
        f"data.val_files={quoted(cold_start / 'validation.parquet')}",
        f"data.train_batch_size={PROMPTS}",
        "data.max_prompt_length=64",
        "data.max_response_length=64",
        f"{rollout}.n={ROLLOUTS}",
        f"{rollout}.max_num_seqs=256",
        # Before and after are measured on sampled answers, as the rollouts of training are.
        f"{rollout}.val_kwargs.do_sample=True",
        f"{rollout}.val_kwargs.temperature=1.0",
        f"{actor}.optim.lr=8e-4",
        f"{actor}.optim.lr_scheduler_type=cosine",
        f"{actor}.ppo_mini_batch_size={PROMPTS}",
        f"{actor}.use_kl_loss=False",
        f"trainer.test_freq={steps}",
        "trainer.total_epochs=1000",
        f"trainer.total_training_steps={steps}",
    ]
