"""Keys of verl's config that several parts of this package name."""

ESTIMATOR = "algorithm.adv_estimator"
ROLLOUT = "actor_rollout_ref.rollout"
MULTI_TURN = f"{ROLLOUT}.multi_turn"
DEFAULT_LOOP = f"{ROLLOUT}.agent.default_agent_loop"
