"""Overrides that several of these tests share."""

OWN_PARTS = [
    "algorithm.adv_estimator=hdpo",
    "reward.reward_manager.name=hdpo",
    "reward.custom_reward_function.path=null",
    "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
]
"""HDPO's own agent loop and reward manager, beside its estimator."""

SAMPLED = [f"actor_rollout_ref.rollout.val_kwargs.{setting}" for setting in ("do_sample=True", "temperature=1.0")]
"""Validation as in training."""
VALIDATED = 16
"""Rollouts of each validation question where validation is compared."""
