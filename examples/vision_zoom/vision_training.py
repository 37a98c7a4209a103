"""The RL run: the quickstart's, and what a task with images needs besides."""

from __future__ import annotations

from pathlib import Path

import training

from verl_hdpo.runs.quoted import quoted

TOOLS = Path(__file__).parent / "tools.yaml"
STEPS = 24


def overrides(algo: str, cold_start: Path, seed: int, steps: int) -> list[str]:
    """Hydra overrides of the run; of two for the same key the later one holds."""
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    return [
        *training.overrides(algo, cold_start, seed, steps),
        f"{rollout}.multi_turn.function_tool_path=null",
        f"{rollout}.multi_turn.tool_config_path={quoted(TOOLS)}",
        f"+{rollout}.engine_kwargs.vllm.limit_mm_per_prompt={{image:2,video:0}}",  # no memory is kept for videos
        f"{rollout}.max_model_len=128",
        f"{rollout}.n=16",
        f"{rollout}.calculate_log_probs=True",  # logs how far vLLM's probabilities are from the trainer's
        f"{actor}.optim.lr=5e-4",
        "trainer.project_name=quickstart-vision",
    ]
