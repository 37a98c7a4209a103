"""Keys of verl's config that older releases had: a command line of theirs still names them."""

from __future__ import annotations

_MEGATRON = ("actor_rollout_ref.actor", "actor_rollout_ref.ref", "critic")

REMOVED: dict[str, str] = {
    "actor_rollout_ref.actor.router_replay": "actor_rollout_ref.actor.megatron.router_replay",
    "actor_rollout_ref.ref.router_replay": "actor_rollout_ref.ref.megatron.router_replay",
    "actor_rollout_ref.actor.checkpoint.mbridge_config": "",
    "actor_rollout_ref.actor.sum_pi_squared_checkpointing": "",
    "actor_rollout_ref.model.override_config.model_config": "actor_rollout_ref.model.override_config",
    "actor_rollout_ref.model.override_config.moe_config": "",
    "actor_rollout_ref.rollout.layer_name_map": "",
    "actor_rollout_ref.rollout.multi_turn.interaction_config_path": "",
    "actor_rollout_ref.rollout.skip": "skip",
    "actor_rollout_ref.rollout.skip_dump_dir": "skip",
    "actor_rollout_ref.rollout.skip_rollout": "skip",
    "critic.checkpoint.mbridge_config": "",
    "critic.model.fsdp_config": "critic.fsdp",
    "critic.model.override_config.model_config": "critic.model.override_config",
    "critic.model.override_config.moe_config": "",
    "data.continuous_token": "",
    "data.datagen": "",
    "data.sampler": "trainer.v1.sampler.custom_sampler",
    "trainer.use_legacy_worker_impl": "",
    **{f"{role}.load_weight": "" for role in _MEGATRON},
    **{f"{role}.megatron.grad_offload": "" for role in _MEGATRON},
    **{f"{role}.fsdp_config.grad_offload": "" for role in _MEGATRON},
}
"""Key that verl had between 0.5 and 0.9.0 and no longer has -> the key with its purpose; empty if there is none.

Each stands for all keys beneath it, and holds only where the installed verl does not know the key.
"""


def removed(key: str) -> str | None:
    """What has taken the place of ``key``: another key, or nothing (empty); None if verl never had ``key``."""
    parts = key.split(".")
    above = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((REMOVED[name] for name in above if name in REMOVED), None)
