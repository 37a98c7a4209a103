"""What verl-hdpo relies on in verl and TransferQueue, for each supported release of verl.

A failure here names the symbol that moved, and what in this package stands on it.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import fields
from enum import Enum
from functools import partial
from pathlib import Path

import pytest
import torch
import verl
from omegaconf import OmegaConf
from verl_versions import SUPPORTED, UNDER_TEST, environment, installed

from verl_hdpo.adapters.upstream import (
    CLASSIC,
    CORE,
    IN_CLASSIC,
    IN_EVERY_TRAINER,
    IN_V1,
    LOOP,
    REWARD_LOOP,
    TOOL_LOOP,
    V1,
    Relied,
)
from verl_hdpo.algorithm.qualifying import HOMOGENEOUS_LOSSES


def test_this_process_tests_the_verl_it_was_asked_to():
    assert verl.__version__ == os.environ.get(UNDER_TEST, installed())


def test_the_installed_release_is_among_the_supported():
    assert installed() in SUPPORTED, f"verl {installed()}: add it to tests/support/verl_versions.py and run this file"


@pytest.mark.skipif(UNDER_TEST in os.environ, reason="runs once, from the installed release")
@pytest.mark.slow
@pytest.mark.parametrize("release", [release for release in SUPPORTED if release != installed()])
def test_the_other_releases(release):
    """This file again, in a process in which ``import verl`` gives the other release."""
    env = {**environment(release), UNDER_TEST: release}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"the contract does not hold in verl {release}:\n{done.stdout[-8000:]}"


def resolve(symbol: str):
    return Relied(symbol, "").resolve()


SEPARATE = "verl.trainer.ppo.v1.trainer_separate_async:PPOTrainerSeparateAsync.__init__"

OUTSIDE_RUNS = [
    Relied("verl.trainer.ppo.reward:resolve_reward_manager_cls", "doctor", "config"),
    Relied("verl.trainer.ppo.reward:get_custom_reward_fn", "doctor", "config"),
    Relied("verl.tools.tool_registry:load_all_tools", "doctor", "tool_config_path function_tool_path"),
    Relied("verl.trainer.ppo.reward:load_reward_manager", "doctor tries the reward", "config tokenizer"),
    Relied("verl.trainer.ppo.utils:create_rl_dataset", "doctor", "data_paths data_config tokenizer processor is_train"),
    Relied("verl.utils.dataset.rl_dataset:get_dataset_class", "doctor", "data_config"),
    Relied("verl.utils:hf_tokenizer", "doctor", "name_or_path"),
    Relied("verl.utils:hf_processor", "doctor", "name_or_path"),
    Relied("verl.experimental.agent_loop.tool_parser:ToolParser.get_tool_parser", "doctor", "name tokenizer"),
    Relied("verl.utils.distributed:initialize_global_process_group_ray", "cpu/patches.py", "timeout_second backend"),
    Relied("verl.trainer.ppo.v1.replay_buffer:ReplayBuffer.__init__", "cpu/patches.py", "self poll_interval"),
    Relied("verl.single_controller.ray.base:get_master_addr_port._function", "cpu/patches.py", "master_port_range"),
    Relied(
        "verl.utils.model:load_valuehead_model",
        "cpu/patches.py",
        "local_path torch_dtype model_config trust_remote_code",
    ),
    Relied(f"{LOOP}:_agent_loop_registry", "doctor"),
    Relied("verl.plugin.platform.platform_base:PlatformBase", "cpu/platform.py"),
    Relied("verl.plugin.platform.platform_manager:PlatformRegistry.register", "cpu/platform.py"),
    Relied("verl.workers.engine.fsdp.transformer_impl:CPUOffloadPolicy", "cpu/patches.py"),
    Relied("verl.experimental.agent_loop.tool_parser:ToolParser._registry", "doctor"),
    Relied("verl.workers.rollout.replica:RolloutReplicaRegistry._registry", "doctor"),
    Relied("verl.workers.engine:EngineRegistry._engines", "doctor"),
    Relied("verl.trainer.main_ppo:auto_set_device", "doctor"),
    Relied("verl.trainer.main_ppo:need_reference_policy", "doctor"),
    Relied("verl.trainer.main_ppo:need_critic", "doctor"),
]
RELIED = [*IN_EVERY_TRAINER, *IN_V1, *IN_CLASSIC, *OUTSIDE_RUNS]


@pytest.mark.parametrize("relied", RELIED, ids=[relied.symbol for relied in RELIED])
def test_what_we_rely_on_is_there_with_the_parameters_that_we_pass_or_override(relied):
    assert not relied.fault()


# (symbol, text in its source, why)
SOURCES = [
    ("verl", 'entry_points(group="verl.plugins")', "how verl finds the plugin"),
    ("verl", "VERL_USE_EXTERNAL_PLUGINS", "how a user turns it off"),
    ("verl.trainer.main_ppo:TaskRunnerV1.__ray_metadata__.modified_class.run", "get_trainer_cls(", "trainers by name"),
    (f"{V1}:PPOTrainer._setup", "actor_rollout_wg", "the worker group that takes the loss"),
    (f"{V1}:PPOTrainer._compute_advantage", "compute_advantage_for_multi_trajectories(", "calls the estimator"),
    (f"{V1}:PPOTrainer._compute_advantage", "config=self.config.algorithm", "gives it algorithm's config"),
    (f"{V1}:PPOTrainer._save_checkpoint", 'f"global_step_{self.global_steps}"', "adapters/price_guard.py, the folder"),
    (f"{V1}:PPOTrainer._load_checkpoint", "self.config.trainer.resume_from_path", "adapters/price_guard.py, the same"),
    (f"{V1}:PPOTrainer._compute_advantage", "use_kl_in_reward", "rewards reach the estimator after KL"),
    (f"{V1}:PPOTrainer._compute_advantage", "batch = tq.kv_batch_put(keys=batch.keys", "returns the meta of its put"),
    (f"{V1}:PPOTrainer._step_once", "self._compute_reward_colocate(batch, metrics=metrics)", "before padding rows"),
    (
        f"{REWARD_LOOP}:RewardLoopManager.compute_rm_score",
        "worker.compute_score_batch.remote(chunk)",
        "rows go to the manager",
    ),
    (
        f"{REWARD_LOOP}:RewardLoopManager.compute_rm_score",
        "self.reward_model_manager.wake_up()",
        "the judge is awake meanwhile",
    ),
    (f"{V1}:PPOTrainer._update_actor", "batch.extra_info.update(", "the meta that we return needs extra_info"),
    (f"{V1}:PPOTrainer._update_actor", "update_actor(batch)", "workers get the fields that the meta names"),
    (f"{V1}:PPOTrainer._update_actor", 'rename_dict(output["metrics"], "actor/")', "hdpo/ metrics come as actor/hdpo/"),
    (f"{V1}:PPOTrainer._update_actor", "ppo_mini_batch_size * self.config.actor_rollout_ref.rollout.n", "mini-batches"),
    (f"{V1}:PPOTrainer._balance_batch", "worker_group._dispatch_info[role]", "data-parallel size"),
    (f"{V1}:PPOTrainer._balance_batch", "dp_size = max(dp_rank_mapping) + 1", "data-parallel size"),
    (f"{V1}:PPOTrainer._compute_metrics", 'tag.get("is_padding", False)', "padding rows are told by their tag"),
    ("verl.trainer.ppo.padding_utils", "is_padding=True", "padding rows are told by their tag"),
    (f"{LOOP}:AgentLoopWorker._compute_score", '"tool_extra_fields"', "the ledger reaches the reward manager"),
    (f"{LOOP}:AgentLoopWorker._compute_score", '"__num_turns__"', "rounds, for other agent loops"),
    (f"{TOOL_LOOP}:ToolAgentLoop.run", "agent_data.user_turns + agent_data.assistant_turns + 1", "num_turns"),
    (f"{TOOL_LOOP}:ToolAgentLoop.run", "extra_fields=agent_data.extra_fields", "the ledger travels in extra_fields"),
    (f"{TOOL_LOOP}:ToolAgentLoop.run", "agent_data._active_tools", "the tools that we watch"),
    (f"{TOOL_LOOP}:ToolAgentLoop._call_tool", '"_active_tools"', "looks tools up where we put ours"),
    (
        f"{TOOL_LOOP}:ToolAgentLoop._handle_processing_tools_state",
        "agent_data.tool_calls[: self.max_parallel_calls]",
        "calls beyond it are dropped",
    ),
    (
        f"{TOOL_LOOP}:ToolAgentLoop._call_tool",
        'tool.create(create_kwargs=kwargs.get("create_kwargs", {}))',
        "tools/image_search.py reads the sample's key",
    ),
    (f"{TOOL_LOOP}:ToolAgentLoop._call_tool", "instance_id, tool_args, agent_data=agent_data", "tools see the prompt"),
    (f"{TOOL_LOOP}:ToolAgentLoop.run", "messages=messages,", "tools see the prompt's own images"),
    ("verl.utils.dataset.rl_dataset:RLHFDataset._build_messages", '{"type": "image", **image}', "with their bytes"),
    ("verl.tools.tool_registry:initialize_tools_from_config", "tool_config.config.type", "the key left to verl"),
    (f"{TOOL_LOOP}:ToolAgentLoop.__init__", "self.tool_parser = ", "reads the calls of a cut-off response"),
    ("verl.trainer.ppo.reward:load_reward_manager", "compute_score=final_compute_score", "the custom reward function"),
    (
        "verl.trainer.main_ppo_v0:TaskRunner.__ray_metadata__.modified_class.run",
        "RayPPOTrainer(",
        "the class by its name",
    ),
    ("verl.trainer.main_ppo", "from verl.trainer.main_ppo_v0 import TaskRunner", "where plugin.py comes in"),
    (f"{CLASSIC}:RayPPOTrainer.fit", "batch = compute_advantage(\n", "the function by its name in the module"),
    (
        f"{CLASSIC}:RayPPOTrainer.fit",
        'batch.batch["token_level_scores"] = reward_tensor',
        "adapters/padded_batch.py, mask",
    ),
    (f"{CLASSIC}:RayPPOTrainer.fit", "self._compute_old_log_prob(batch)", "before rollout correction"),
    (f"{CLASSIC}:RayPPOTrainer.fit", "self._compute_ref_log_prob(batch)", "before KL in the reward"),
    (
        f"{CLASSIC}:RayPPOTrainer.fit",
        "actor_output_metrics = reduce_metrics(actor_output.meta_info",
        "our metrics' way",
    ),
    (f"{CLASSIC}:RayPPOTrainer._update_actor", 'rename_dict(actor_output, "actor/")', "hdpo/ comes as actor/hdpo/"),
    (f"{CLASSIC}:RayPPOTrainer._update_actor", "left_right_2_no_padding(batch_td)", "makes loss_mask of response_mask"),
    ("verl.workers.utils.padding:left_right_2_no_padding", 'data["loss_mask"] = data["response_mask"]', "the same"),
    (f"{CLASSIC}:RayPPOTrainer._val_metrics_update", "np.concatenate(sample_turns)", "turns come by batch"),
    (f"{LOOP}:AgentLoopWorker._postprocess", "non_tensor_batch.update(extra_fields)", "adapters/padded_batch.py"),
    (SEPARATE, "train_batch_size == parameter_sync_step * ppo_mini_batch_size", "adapters/host_check.py"),
    (SEPARATE, "config.actor_rollout_ref.rollout.nnodes > 0", "adapters/host_check.py"),
    (SEPARATE, "config.actor_rollout_ref.rollout.n_gpus_per_node > 0", "adapters/host_check.py"),
    (SEPARATE, 'config.actor_rollout_ref.rollout.checkpoint_engine.backend != "naive"', "adapters/host_check.py"),
]


@pytest.mark.parametrize(("symbol", "text", "why"), SOURCES, ids=[f"{case[0]}-{case[1]}" for case in SOURCES])
def test_source(symbol, text, why):
    assert text in inspect.getsource(resolve(symbol)), f"{symbol} no longer has {text!r} ({why})"


def test_main_ppo_validates_before_it_starts_ray():
    source = inspect.getsource(resolve("verl.trainer.main_ppo"))
    main = source[source.index("def main(config)") :]
    assert main.index("auto_set_device(config)") < main.index("validate_config(") < main.index("run_ppo(")
    assert "from verl.utils.config import validate_config" in source, "plugin.py replaces it where main_ppo imports it"


def test_the_registry_has_the_three_trainers_and_refuses_a_name_twice():
    from verl.trainer.ppo.v1 import PPOTrainer, get_trainer_cls, register_trainer
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

    assert set(TRAINER_REGISTRY) == {"sync", "colocate_async", "separate_async"}
    with pytest.raises(ValueError, match="already registered"):
        register_trainer("sync")(type("Other", (PPOTrainer,), {}))
    assert get_trainer_cls("sync") is TRAINER_REGISTRY["sync"]


def test_an_estimator_other_than_grpo_is_called_with_rewards_mask_config_and_index():
    """verl/trainer/ppo/ray_trainer.py, ``compute_advantage``; rows are not collapsed to sessions for it."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
    from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

    seen = {}

    def estimator(**kwargs):
        seen.update(kwargs)
        return kwargs["response_mask"] * 2.0, kwargs["response_mask"] * 3.0

    data = verl.DataProto.from_dict(
        tensors={"token_level_rewards": torch.ones(3, 2), "response_mask": torch.ones(3, 2)},
        non_tensors={"uid": ["p", "p", "q"]},
    )
    config = OmegaConf.create({"hdpo": {"w_tool": 0.1}})
    ADV_ESTIMATOR_REGISTRY["contract"] = estimator
    try:
        data = compute_advantage_for_multi_trajectories(
            data, batch_keys=["p_0_0", "p_0_1", "q_0_0"], adv_estimator="contract", config=config
        )
    finally:
        del ADV_ESTIMATOR_REGISTRY["contract"]
    assert set(seen) == {"token_level_rewards", "response_mask", "config", "index"}
    assert seen["config"] is config
    assert list(seen["index"]) == ["p", "p", "q"]
    assert len(seen["token_level_rewards"]) == 3
    assert data.batch["advantages"].eq(2).all()
    assert data.batch["returns"].eq(3).all()


def test_the_keys_of_a_batch_are_uid_session_index():
    """verl's own reading of them, which ``verl_hdpo.outcomes.rollout_index.RolloutIndex`` follows."""
    source = inspect.getsource(resolve("verl.trainer.ppo.v1.utils:compute_advantage_for_multi_trajectories"))
    assert 'key.rsplit("_", 2)' in source
    assert "uid, session_id, index = fields[0], fields[1], int(fields[2])" in source


def policy_losses() -> list[str]:
    return sorted(resolve(f"{CORE}:POLICY_LOSS_REGISTRY"))


def test_the_policy_losses_known_to_be_homogeneous_exist():
    assert set(HOMOGENEOUS_LOSSES) <= set(policy_losses())


@pytest.mark.parametrize("name", policy_losses())
def test_every_policy_loss_is_called_with_the_same_keywords(name):
    """``ppo_loss`` calls them so, and adapters/loss.py after it."""
    call = partial(
        inspect.signature(resolve(f"{CORE}:get_policy_loss_fn")(name)).bind,
        old_log_prob=None,
        log_prob=None,
        advantages=None,
        response_mask=None,
        loss_agg_mode=None,
        config=None,
    )
    call(rollout_is_weights=None)


@pytest.mark.parametrize("name", HOMOGENEOUS_LOSSES)
def test_the_aggregation_that_qualifying_counts_by_is_the_one_the_policy_loss_goes_by(name):
    """adapters/loss.py, ``aggregation``: some losses average over sequences whatever loss_agg_mode says."""
    from verl.workers.config import ActorConfig
    from verl.workers.config.actor import PolicyLossConfig

    from verl_hdpo.adapters.loss import aggregation

    mask = torch.tensor([[1, 0, 0], [1, 1, 1]])
    values, actors = {}, {}
    for mode in ("token-mean", "seq-mean-token-mean"):
        actors[mode] = ActorConfig(
            strategy="fsdp",
            rollout_n=1,
            ppo_micro_batch_size_per_gpu=1,
            loss_agg_mode=mode,
            policy_loss=PolicyLossConfig(loss_mode=name),
        )
        values[mode], _ = resolve(f"{CORE}:get_policy_loss_fn")(name)(
            old_log_prob=torch.full((2, 3), -1.0),
            log_prob=torch.full((2, 3), -1.0),
            advantages=torch.tensor([[1.0], [2.0]]).expand(2, 3),
            response_mask=mask,
            loss_agg_mode=mode,
            config=actors[mode],
        )
    ignores_the_mode = values["token-mean"] == values["seq-mean-token-mean"]
    assert (aggregation(actors["token-mean"]) == "seq-mean-token-mean") == ignores_the_mode
    assert aggregation(actors["seq-mean-token-mean"]) == "seq-mean-token-mean"


def test_ppo_loss_calls_the_policy_loss_as_we_do():
    source = inspect.getsource(resolve("verl.workers.utils.losses:ppo_loss"))
    for text in (
        'config.policy_loss.get("loss_mode", "vanilla")',
        "old_log_prob=old_log_prob,",
        "log_prob=log_prob,",
        "advantages=advantages,",
        "response_mask=response_mask,",
        "loss_agg_mode=loss_agg_mode,",
        "rollout_is_weights=rollout_is_weights,",
        'metrics["actor/pg_loss"] = Metric(',
        'config.global_batch_info["batch_num_tokens"] = data["batch_num_tokens"]',
    ):
        assert text in source, f"ppo_loss no longer has {text!r} (adapters/loss.py)"


def test_the_loss_is_handed_to_the_workers_and_called_with_these_keywords():
    from verl.workers.engine_workers import ActorRolloutRefWorker

    assert "loss_fn" in inspect.signature(ActorRolloutRefWorker.set_loss_fn).parameters
    for engine, data in (("fsdp", "micro_batch"), ("megatron", "data")):  # the second is not imported without Megatron
        source = (Path(verl.__file__).parent / "workers" / "engine" / engine / "transformer_impl.py").read_text()
        assert "loss_function(" in source
        assert f"model_output=model_output, data={data}, dp_group=" in source


def test_metric_holds_what_we_read_of_it():
    from verl.utils.metric import AggregationType, Metric

    assert issubclass(AggregationType, Enum)
    metric = Metric(value=torch.tensor(2.0), aggregation=AggregationType.SUM)
    assert metric.aggregation is AggregationType.SUM
    assert metric.aggregate() == 2.0


def test_kv_batch_meta_has_the_fields_we_use():
    from transfer_queue import KVBatchMeta

    names = {field.name for field in fields(KVBatchMeta)}
    assert {"keys", "tags", "partition_id", "fields", "extra_info"} <= names
    meta = KVBatchMeta(keys=["p_0_0"], tags=[{"is_padding": True}])
    assert len(meta) == 1
    assert meta.extra_info == {}


def test_what_tools_answer_is_merged_by_one_method():
    """Extended in adapters/agent_loop.py: 0.9.1 has the first, 0.9.0 the second."""
    loop, names = resolve(f"{TOOL_LOOP}:ToolAgentLoop"), ("ct_merge_context_msg", "ct_merge_non_assistant_msg")
    (found,) = [getattr(loop, name) for name in names if hasattr(loop, name)]
    assert [*inspect.signature(found).parameters][1:3] == ["previous_messages", "updated_messages"]


def test_the_tool_loop_has_the_attributes_we_use():
    from verl.experimental.agent_loop.tool_agent_loop import AgentData

    init = inspect.getsource(resolve(f"{TOOL_LOOP}:ToolAgentLoop.__init__"))
    assert "self.max_parallel_calls" in init
    source = inspect.getsource(AgentData)
    for name in ("response_ids", "tool_calls", "extra_fields", "response_mask"):
        assert f"self.{name}" in source, f"AgentData.{name} is gone (adapters/agent_loop.py)"
    assert {"response_mask", "extra_fields", "num_turns"} <= set(resolve(f"{LOOP}:AgentLoopOutput").model_fields)


@pytest.mark.parametrize("name", ["ppo_trainer", "ppo_megatron_trainer"])
def test_verl_s_config_has_the_settings_that_the_check_reads(name):
    from verl_hdpo.adapters.composed_config import compose

    config = compose(name, None, None, [])
    assert config.trainer.use_v1 is True, "the V1 trainer is the default"
    for key in (
        "algorithm.adv_estimator",
        "actor_rollout_ref.rollout.n",
        "actor_rollout_ref.rollout.agent.default_agent_loop",
        "actor_rollout_ref.rollout.multi_turn.max_parallel_calls",
        "actor_rollout_ref.actor.policy_loss.loss_mode",
        "actor_rollout_ref.actor.shuffle",
        "actor_rollout_ref.actor.ppo_mini_batch_size",
        "actor_rollout_ref.actor.loss_agg_mode",
        "distillation.enabled",
        "reward.reward_model.enable",
        "reward.reward_model.enable_resource_pool",
        "reward.reward_model.model_path",
        "reward.reward_model.rollout.free_cache_engine",
        "reward.num_workers",
        "reward.reward_manager.name",
        "reward.custom_reward_function.path",
        "trainer.v1.trainer_mode",
    ):
        assert OmegaConf.select(config, key) is not None or key.endswith("path"), f"{key} is gone from {name}"
    assert "enable" in config.critic
    assert "filter_groups" in config.algorithm  # null in 0.9.0
