"""Overrides that several of these tests share."""

OWN_PARTS = [
    "algorithm.adv_estimator=hdpo",
    "reward.reward_manager.name=hdpo",
    "reward.custom_reward_function.path=null",
    "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
]
"""HDPO's own agent loop and reward manager, beside its estimator."""

SEPARATE_ASYNC = [
    "trainer.v1.trainer_mode=separate_async",
    "actor_rollout_ref.hybrid_engine=False",
    "actor_rollout_ref.rollout.nnodes=1",
    "actor_rollout_ref.rollout.n_gpus_per_node=1",
    "++ray_kwargs.ray_init.num_gpus=3",
    "actor_rollout_ref.rollout.checkpoint_engine.backend=shm",
    "actor_rollout_ref.rollout.checkpoint_engine.custom_backend_module=verl_hdpo.cpu.checkpoint_engine",
    "trainer.v1.separate_async.parameter_sync_step=2",
]
"""Two updates per weight sync: rollouts are stale, and partial ones are resumed."""

SAMPLED = [f"actor_rollout_ref.rollout.val_kwargs.{setting}" for setting in ("do_sample=True", "temperature=1.0")]
"""Validation as in training."""
VALIDATED = 16
"""Rollouts of each validation question where validation is compared."""
