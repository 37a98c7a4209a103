"""Every symbol of verl and TransferQueue that a run stands on, and who needs it: what the contract tests look at.

A release that those tests passed on needs no look; on a development version :func:`missing` looks as a run starts.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Relied(NamedTuple):
    """A symbol that this package relies on.

    Attributes:
        symbol: ``module:attribute.attribute``, or a module alone.
        why: what stands on it.
        parameters: names of those that are passed or overridden, if it is called.
    """

    symbol: str
    why: str
    parameters: str = ""

    def resolve(self) -> Any:
        """The object.

        Raises:
            ImportError, AttributeError: it is gone.
        """
        module, _, path = self.symbol.partition(":")
        target = importlib.import_module(module)
        for name in path.split(".") if path else ():
            target = getattr(target, name)
        return target

    def fault(self) -> str:
        """What is missing of it; empty if nothing is."""
        try:
            target = self.resolve()
        except (ImportError, AttributeError) as error:
            return f"{self.symbol} is gone: {error} ({self.why})"
        found = inspect.signature(target).parameters if self.parameters else {}
        gone = [name for name in self.parameters.split() if name not in found]
        if not gone:
            return ""
        return f"{self.symbol} has no parameter {', '.join(gone)}, only {', '.join(found)} ({self.why})"


def missing(relied: Iterable[Relied]) -> Iterator[str]:
    """What is missing of them, a text each."""
    yield from filter(None, (one.fault() for one in relied))


CORE, V1 = "verl.trainer.ppo.core_algos", "verl.trainer.ppo.v1.trainer_base"
CLASSIC = "verl.trainer.ppo.ray_trainer"
LOOP, TOOL_LOOP = "verl.experimental.agent_loop.agent_loop", "verl.experimental.agent_loop.tool_agent_loop"
REWARD = "verl.experimental.reward_loop.reward_manager"
REWARD_LOOP = "verl.experimental.reward_loop.reward_loop"

IN_EVERY_TRAINER = (
    Relied(f"{CORE}:register_adv_est", "adapters/estimator.py registers hdpo", "name_or_enum"),
    Relied(f"{CORE}:get_adv_estimator_fn", "verl finds the estimator by name", "name_or_enum"),
    Relied(f"{CORE}:register_policy_loss", "the registry that adapters/loss.py reads", "name"),
    Relied(f"{CORE}:get_policy_loss_fn", "adapters/loss.py calls the user's loss on each channel", "name"),
    Relied("verl.workers.utils.losses:ppo_loss", "adapters/loss.py extends it", "config model_output data dp_group"),
    Relied("verl.workers.utils.padding:no_padding_2_padding", "adapters/loss.py pads log-probs"),
    Relied("verl.utils.tensordict_utils:assign_non_tensor", "adapters/loss.py, batches without a known outcome"),
    Relied("verl.utils.metric:Metric", "adapters/loss.py reports", "aggregation value"),
    Relied("verl.utils.tensordict_utils:maybe_fix_3d_position_ids", "plugin.py wraps it", "data"),
    Relied(
        "verl.utils.tensordict_utils:nested_tensor_from_tensor_list",
        "adapters/position_ids.py",
        "tensors ragged_idx",
    ),
    Relied("verl.utils.config:omega_conf_to_dataclass", "adapters/advantage_step.py, the actor's config", "config"),
    Relied("verl.utils.config:validate_config", "plugin.py wraps it", "config use_reference_policy use_critic"),
    Relied(f"{REWARD_LOOP}:RewardLoopManager.compute_rm_score", "adapters/colocated_judge.py", "self data"),
    Relied(f"{REWARD_LOOP}:RewardLoopWorker.compute_score", "plugin.py wraps it", "self data"),
    Relied(f"{LOOP}:register", "adapters/agent_loop.py registers hdpo_tool_agent", "agent_name"),
    Relied(f"{TOOL_LOOP}:ToolAgentLoop.run", "extended", "self sampling_params kwargs"),
    Relied(f"{TOOL_LOOP}:ToolAgentLoop._handle_pending_state", "extended", "self agent_data sampling_params"),
    Relied(
        f"{TOOL_LOOP}:ToolAgentLoop._handle_generating_state",
        "extended",
        "self agent_data sampling_params ignore_termination",
    ),
    Relied(f"{TOOL_LOOP}:ToolAgentLoop._handle_processing_tools_state", "extended", "self agent_data"),
    Relied(f"{TOOL_LOOP}:ToolAgentLoop._call_tool", "extended", "self tool_call tools_kwargs agent_data"),
    Relied("verl.tools.function_tool:normalize_function_tool_return", "adapters/agent_loop.py unpacks results"),
    Relied(f"{REWARD}:register", "adapters/reward_manager.py registers hdpo", "name"),
    Relied(f"{REWARD}.base:RewardManagerBase.__init__", "extended", "self config tokenizer compute_score"),
    Relied(f"{REWARD}.base:RewardManagerBase.run_single", "implemented", "self data"),
    Relied("verl.tools.base_tool:BaseTool.__init__", "verl_hdpo/tools extend it", "self config tool_schema"),
    Relied("verl.tools.base_tool:BaseTool.create", "verl_hdpo/tools extend it", "self instance_id kwargs"),
    Relied(
        "verl.tools.base_tool:BaseTool.execute", "verl_hdpo/tools implement it", "self instance_id parameters kwargs"
    ),
    Relied("verl.tools.base_tool:BaseTool.release", "verl_hdpo/tools extend it", "self instance_id kwargs"),
    Relied("verl.utils.rollout_trace:rollout_trace_op", "verl_hdpo/tools trace their calls as verl's do", "func"),
    Relied(f"{LOOP}:AgentLoopBase", "the base of every agent loop"),
    Relied(f"{LOOP}:AgentLoopOutput", "adapters/agent_loop.py returns it"),
    Relied(f"{TOOL_LOOP}:AgentData", "adapters/agent_loop.py"),
    Relied(f"{TOOL_LOOP}:AgentState", "adapters/agent_loop.py"),
    Relied("verl.experimental.agent_loop.tool_parser:FunctionCall", "adapters/agent_loop.py"),
    Relied("verl.tools.schemas:ToolResponse", "adapters/agent_loop.py answers for a stopped call"),
    Relied("verl.tools.schemas:OpenAIFunctionToolSchema", "tools/base.py extends it"),
    Relied("verl.tools.schemas:OpenAIFunctionSchema", "tools/base.py extends it"),
    Relied("verl.tools.schemas:OpenAIFunctionParametersSchema", "tools/base.py extends it"),
    Relied("verl.tools.schemas:OpenAIFunctionPropertySchema", "tools/base.py extends it"),
    Relied("verl.workers.config:ActorConfig", "adapters/loss.py"),
    Relied("verl:DataProto", "adapters/reward_manager.py"),
    Relied("verl.utils.metric:AggregationType.SUM", "adapters/loss.py"),
    Relied("verl.utils.metric:AggregationType.MEAN", "adapters/loss.py"),
)

IN_V1 = (
    Relied("verl.trainer.ppo.v1:get_trainer_cls", "verl picks the trainer by its mode", "name"),
    Relied(f"{V1}:register_trainer", "refuses a name twice, so plugin.py sets the entry", "name"),
    Relied(f"{V1}:PPOTrainer.__init__", "adapters/host_trainer.py extends it", "self config"),
    Relied(f"{V1}:PPOTrainer._setup", "adapters/trainer.py sets the loss after it", "self"),
    Relied(f"{V1}:PPOTrainer.step", "adapters/trainer.py combines its updates' metrics", "self metrics timing_raw"),
    Relied(f"{V1}:PPOTrainer._step_once", "adapters/trainer.py, the same", "self metrics timing_raw sample_batch_size"),
    Relied(f"{V1}:PPOTrainer._compute_advantage", "adapters/trainer.py extends it", "self batch metrics"),
    Relied(f"{V1}:PPOTrainer._update_actor", "adapters/trainer.py extends it", "self batch metrics"),
    Relied(f"{V1}:PPOTrainer._save_checkpoint", "adapters/host_trainer.py says why it fails", "self"),
    Relied(f"{V1}:PPOTrainer._load_checkpoint", "adapters/host_trainer.py reads the guard's state after it", "self"),
    Relied(
        f"{V1}:PPOTrainer._log_rollout_data",
        "adapters/trainer.py writes notes beside verl's dump",
        "self batch timing_raw rollout_data_dir",
    ),
    Relied(f"{V1}:PPOTrainer._init_dump_executor", "adapters/host_trainer.py, the thread for dumps", "self"),
    Relied("verl.utils.debug:marked_timer", "adapters/trainer.py", "name timing_raw color"),
    Relied(f"{V1}:PPOTrainer._compute_reward_colocate", "adapters/colocated_judge.py", "self batch metrics"),
    Relied(
        f"{V1}:PPOTrainer._val_metrics_update",
        "adapters/trainer.py adds val-hdpo/",
        "self data_sources sample_uids reward_extra_infos_dict sample_turns",
    ),
    Relied("transfer_queue:kv_batch_get", "adapters/queued_batch.py reads outcomes", "keys partition_id select_fields"),
    Relied("transfer_queue:kv_batch_put", "adapters/queued_batch.py writes A_tool", "keys partition_id fields"),
    Relied(f"{V1}:TRAINER_REGISTRY", "plugin.py sets its entries"),
)

IN_CLASSIC = (
    Relied("verl.trainer.main_ppo_v0:RayPPOTrainer", "plugin.py puts the HDPO-aware class in its place"),
    Relied(
        f"{CLASSIC}:compute_advantage",
        "plugin.py wraps it",
        "data adv_estimator gamma lam num_repeat norm_adv_by_std_in_grpo config",
    ),
    Relied(f"{CLASSIC}:RayPPOTrainer.__init__", "adapters/host_trainer.py extends it", "self config"),
    Relied(f"{CLASSIC}:RayPPOTrainer.init_workers", "adapters/classic_trainer.py sets the loss after it", "self"),
    Relied(f"{CLASSIC}:RayPPOTrainer.fit", "adapters/classic_trainer.py extends it", "self"),
    Relied(f"{CLASSIC}:RayPPOTrainer._compute_old_log_prob", "adapters/classic_trainer.py extends it", "self batch"),
    Relied(f"{CLASSIC}:RayPPOTrainer._compute_ref_log_prob", "adapters/classic_trainer.py extends it", "self batch"),
    Relied(f"{CLASSIC}:RayPPOTrainer._update_actor", "adapters/classic_trainer.py extends it", "self batch"),
    Relied(f"{CLASSIC}:RayPPOTrainer._save_checkpoint", "adapters/host_trainer.py says why it fails", "self"),
    Relied(f"{CLASSIC}:RayPPOTrainer._load_checkpoint", "adapters/host_trainer.py, the guard's state", "self"),
    Relied(f"{CLASSIC}:RayPPOTrainer._get_dp_size", "adapters/classic_trainer.py asks it", "self worker_group role"),
    Relied(
        f"{CLASSIC}:RayPPOTrainer._val_metrics_update",
        "adapters/classic_trainer.py adds val-hdpo/",
        "self data_sources sample_uids reward_extra_infos_dict sample_turns",
    ),
)
