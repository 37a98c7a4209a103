"""Keys that a verl command may name and that stock verl 0.9.1 does not have, or does not read."""

from __future__ import annotations

from typing import NamedTuple

from verl_hdpo.runs.verl_keys import MULTI_TURN, ROLLOUT

REWARD_MODEL = "reward.reward_model"


class Change(NamedTuple):
    """What became of a key, and of every key beneath it.

    Attributes:
        why: one sentence.
        moved: the key that takes its value, with a plus where verl's config does not list it; what stands beneath it
            moves along.
        instead: the settings that now serve its purpose, with another value.
    """

    why: str
    moved: str = ""
    instead: str = ""

    @property
    def advice(self) -> str:
        """What to do, in a few words."""
        return f"use {self.moved}" if self.moved else f"set {self.instead} instead" if self.instead else "delete it"


_TRAINERS = ("actor_rollout_ref.actor", "actor_rollout_ref.ref", "critic")
_LEGACY_REWARD = "verl.trainer.main_ppo does not read this legacy setting"
_REMOVED = "verl removed it"
_RENAMED = "verl renamed it"
_RESHAPED = "verl changed its form"
_NO_SUCH_TRAINER = "a setting of verl's experimental asynchronous trainers"
_MASKED = "a setting of another project; verl's agent loops always mask what tools return"
_PROJECT = "a setting of another project, which stock verl does not have"

UNREAD: dict[str, Change] = {
    "custom_reward_function": Change(_LEGACY_REWARD, "reward.custom_reward_function"),
    "reward_model.num_workers": Change(_LEGACY_REWARD, "reward.num_workers"),
    "reward_model.reward_manager": Change(_LEGACY_REWARD, "reward.reward_manager.name"),
    "reward_model.reward_loop_source": Change(_LEGACY_REWARD, "reward.reward_manager.source"),
    "reward_model.reward_loop_module_path": Change(_LEGACY_REWARD, "reward.reward_manager.module.path"),
    "reward_model.reward_loop_class_name": Change(_LEGACY_REWARD, "reward.reward_manager.module.name"),
    "reward_model.reward_kwargs": Change(_LEGACY_REWARD, "+reward.reward_kwargs"),
    "reward_model.model.path": Change(_LEGACY_REWARD, f"{REWARD_MODEL}.model_path"),
    **{
        f"reward_model.{name}": Change(_LEGACY_REWARD, f"{REWARD_MODEL}.{name}")
        for name in ("enable", "enable_resource_pool", "n_gpus_per_node", "nnodes", "rollout")
    },
    "sandbox_fusion": Change(_LEGACY_REWARD, "reward.sandbox_fusion"),
}
"""Keys that verl 0.9.1 still has, and whose values nothing reads."""

REMOVED: dict[str, Change] = {
    **{f"{role}.load_weight": Change(_REMOVED) for role in _TRAINERS},
    **{f"{role}.megatron.grad_offload": Change("verl offloads gradients with param_offload") for role in _TRAINERS},
    **{f"{role}.fsdp_config.grad_offload": Change("verl offloads gradients with param_offload") for role in _TRAINERS},
    "critic.model.fsdp_config.grad_offload": Change("verl offloads gradients with param_offload"),
    "critic.model.fsdp_config": Change(_RENAMED, "critic.fsdp"),
    "critic.model.override_config.model_config": Change(_RENAMED, "critic.model.override_config"),
    "critic.model.override_config.moe_config": Change(_REMOVED),
    "critic.checkpoint.contents": Change(_RENAMED, "critic.checkpoint.save_contents"),
    "critic.checkpoint.mbridge_config": Change(_REMOVED),
    **{
        f"{role}.profiler.discrete": Change(_RESHAPED, instead=f"{role}.profiler.tool_config")
        for role in (*_TRAINERS, ROLLOUT)
    },
    "actor_rollout_ref.profiler.discrete": Change(_RESHAPED, instead="actor_rollout_ref.actor.profiler.tool_config"),
    "actor_rollout_ref.actor.checkpoint.contents": Change(_RENAMED, "actor_rollout_ref.actor.checkpoint.save_contents"),
    "actor_rollout_ref.actor.checkpoint.mbridge_config": Change(_REMOVED),
    "actor_rollout_ref.actor.router_replay": Change(_RENAMED, "actor_rollout_ref.actor.megatron.router_replay"),
    "actor_rollout_ref.ref.router_replay": Change(_RENAMED, "actor_rollout_ref.ref.megatron.router_replay"),
    "actor_rollout_ref.actor.sum_pi_squared_checkpointing": Change(_REMOVED),
    **{
        f"actor_rollout_ref.actor.{name}": Change(_RENAMED, f"actor_rollout_ref.actor.policy_loss.{name}")
        for name in ("loss_mode", "clip_cov_ratio", "clip_cov_lb", "clip_cov_ub", "kl_cov_ratio", "ppo_kl_coef")
    },
    **{
        f"actor_rollout_ref.actor.policy_loss.{name}": Change(_RENAMED, f"actor_rollout_ref.actor.{name}")
        for name in ("tau_pos", "tau_neg")
    },
    "actor_rollout_ref.model.override_config.model_config": Change(_RENAMED, "actor_rollout_ref.model.override_config"),
    "actor_rollout_ref.model.override_config.moe_config": Change(_REMOVED),
    "actor_rollout_ref.profiler": Change(_RENAMED, "actor_rollout_ref.actor.profiler"),
    "actor_rollout_ref.rollout.chat_scheduler": Change(
        "agent loops took the place of chat schedulers", instead=f"{ROLLOUT}.agent.default_agent_loop"
    ),
    "actor_rollout_ref.rollout.layer_name_map": Change(_REMOVED),
    "actor_rollout_ref.rollout.use_fire_sampling": Change(_REMOVED),
    f"{MULTI_TURN}.interaction_config_path": Change(
        "verl removed interactions; a tool or an agent loop of your own answers the model now"
    ),
    f"{MULTI_TURN}.completion_callback": Change(
        "agent loops took the place of callbacks", instead=f"{ROLLOUT}.agent.default_agent_loop"
    ),
    f"{MULTI_TURN}.max_turns": Change(_RENAMED, f"{MULTI_TURN}.max_assistant_turns"),
    f"{ROLLOUT}.skip": Change(_RENAMED, "skip.rollout"),
    f"{ROLLOUT}.skip_rollout": Change(_RENAMED, "skip.rollout.enable"),
    f"{ROLLOUT}.skip_dump_dir": Change(_RENAMED, "skip.rollout.dump_dir"),
    f"{ROLLOUT}.update_weights_bucket_megabytes": Change(
        _RENAMED, f"{ROLLOUT}.checkpoint_engine.update_weights_bucket_megabytes"
    ),
    "algorithm.rollout_correction.rollout_rs_threshold_lower": Change(
        _RESHAPED, instead="algorithm.rollout_correction.rollout_rs_threshold"
    ),
    "algorithm.rollout_correction.rollout_token_veto_threshold": Change(_REMOVED),
    "algorithm.rollout_correction.use_policy_gradient": Change(
        _RESHAPED, instead="algorithm.rollout_correction.loss_type=reinforce"
    ),
    "algorithm.rollout_is": Change(_RESHAPED, instead="algorithm.rollout_correction.rollout_is"),
    "algorithm.rollout_is_threshold": Change(_RENAMED, "algorithm.rollout_correction.rollout_is_threshold"),
    **{
        f"algorithm.rollout_is_{name}": Change(_RESHAPED, instead="algorithm.rollout_correction.rollout_rs")
        for name in ("threshold_lower", "level", "mode", "veto_threshold")
    },
    "data.continuous_token": Change(_REMOVED),
    "data.datagen": Change(_REMOVED),
    "data.sampler": Change(
        "the V1 trainer samples for itself", instead="trainer.v1.sampler.custom_sampler.path and .name"
    ),
    "reward_model.sandbox_fusion": Change(_RENAMED, "reward.sandbox_fusion"),
    "reward_model.overlong_buffer": Change(_RENAMED, "+reward.reward_kwargs.overlong_buffer_cfg"),
    "reward_model.launch_reward_fn_async": Change("rewards are always computed beside the rollouts now"),
    "reward_model": Change(
        "verl 0.9.1 serves a reward model like a rollout engine, and does not train one",
        instead=f"{REWARD_MODEL}.enable, .model_path and .rollout",
    ),
    "trainer.use_legacy_worker_impl": Change("there is one implementation left"),
    "trainer.profile_steps": Change(_RENAMED, "global_profiler.steps"),
    "trainer.npu_profile": Change(_REMOVED, instead="global_profiler.tool=npu"),
    "trainer.ref_update_freq": Change(_REMOVED),
}
"""Keys that verl itself had once."""

ASYNCHRONOUS: dict[str, Change] = {
    "rollout.nnodes": Change(_NO_SUCH_TRAINER, f"{ROLLOUT}.nnodes"),
    "rollout.n_gpus_per_node": Change(_NO_SUCH_TRAINER, f"{ROLLOUT}.n_gpus_per_node"),
    "rollout.n": Change(_NO_SUCH_TRAINER, f"{ROLLOUT}.n"),
    "rollout.test_freq": Change(_NO_SUCH_TRAINER, "trainer.test_freq"),
    "rollout.total_epochs": Change(_NO_SUCH_TRAINER, "trainer.total_epochs"),
    "rollout.total_rollout_steps": Change(
        _NO_SUCH_TRAINER, instead="trainer.total_training_steps (prompts / data.train_batch_size)"
    ),
    "async_training.trigger_parameter_sync_step": Change(
        _NO_SUCH_TRAINER, "trainer.v1.separate_async.parameter_sync_step"
    ),
    "async_training.staleness_threshold": Change(
        _NO_SUCH_TRAINER, instead="trainer.v1.sampler.max_off_policy_threshold (in parameter versions)"
    ),
    "async_training.use_dynamic_resource_scheduling": Change(
        _NO_SUCH_TRAINER, "trainer.v1.separate_async.hybrid_rollout.enable_switch"
    ),
    "async_training": Change(f"{_NO_SUCH_TRAINER}; separate_async needs no such setting"),
}
"""Keys of ``fully_async_policy`` and ``one_step_off_policy``."""

OTHER_PROJECTS: dict[str, Change] = {
    f"{ROLLOUT}.n_agent": Change(_PROJECT, f"{ROLLOUT}.n"),
    "actor_rollout_ref.actor.state_masking": Change(_MASKED),
    "algorithm.state_masking": Change(_MASKED),
    "algorithm.no_think_rl": Change(_PROJECT),
    "data.train_data_num": Change(_PROJECT, instead="data.train_max_samples"),
    "data.val_data_num": Change(_PROJECT, instead="data.val_max_samples"),
    "data.max_start_length": Change(_PROJECT, instead="data.max_prompt_length"),
    "data.max_obs_length": Change(_PROJECT, instead=f"{MULTI_TURN}.max_tool_response_length (in characters)"),
    "data.shuffle_train_dataloader": Change(_PROJECT, "data.shuffle"),
    "max_turns": Change(_PROJECT, f"{MULTI_TURN}.max_assistant_turns"),
    "do_search": Change(_PROJECT),
    "retriever": Change(
        _PROJECT,
        instead=f"{MULTI_TURN}.tool_config_path to a yaml with verl_hdpo.tools.text_search.TextSearchTool, "
        f"provider retrieval_server",
    ),
    "actor_rollout_ref.agent.max_turns": Change(_PROJECT, f"{MULTI_TURN}.max_assistant_turns"),
    "actor_rollout_ref.agent.max_obs_length": Change(
        _PROJECT, instead=f"{MULTI_TURN}.max_tool_response_length (in characters)"
    ),
    "actor_rollout_ref.agent.mask_observations": Change(_MASKED),
    "actor_rollout_ref.agent": Change(_PROJECT, instead=f"{MULTI_TURN}.tool_config_path, with a tool of verl's"),
    f"{ROLLOUT}.agent.activate_agent": Change(_PROJECT, instead=f"{ROLLOUT}.agent.default_agent_loop"),
    f"{ROLLOUT}.agent.max_turns": Change(_PROJECT, f"{MULTI_TURN}.max_assistant_turns"),
    f"{ROLLOUT}.agent.concurrent_workers": Change(_PROJECT, f"{ROLLOUT}.agent.num_workers"),
    f"{ROLLOUT}.agent.single_obs_max_length": Change(
        _PROJECT, instead=f"{MULTI_TURN}.max_tool_response_length (in characters)"
    ),
    f"{ROLLOUT}.agent.single_response_max_tokens": Change(_PROJECT, instead="data.max_response_length"),
    f"{ROLLOUT}.agent.tool_name_key": Change(_PROJECT, instead=f"{MULTI_TURN}.tool_config_path"),
    f"{ROLLOUT}.agent.show_tqdm": Change(_PROJECT),
    f"{ROLLOUT}.max_turns": Change(_PROJECT, f"{MULTI_TURN}.max_assistant_turns"),
}
"""Keys of Search-R1, ZeroSearch, DeepEyes, verl-tool and others that changed verl for themselves."""

KEYS: dict[str, Change] = UNREAD | REMOVED | ASYNCHRONOUS | OTHER_PROJECTS


def change_of(key: str, table: dict[str, Change] = KEYS) -> Change | None:
    """What became of ``key``, from the longest entry that it is, or stands beneath; None if nothing is known."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        if change := table.get(".".join(parts[:length])):
            below = ".".join(parts[length:])
            return change._replace(moved=f"{change.moved}.{below}") if change.moved and below else change
    return None
