#!/usr/bin/env bash
# A verl run with tools on one node or many; HDPO is the one word in ALGO. FSDP2 or Megatron, sync or async.
#
#   TRAIN=train.parquet VAL=val.parquet REWARD=reward.py TOOLS=tools.py recipes/one_word/run.sh [overrides]
#   ALGO=grpo ...          the same run without HDPO, its tool use logged all the same
#   TOOLS=tools.yaml ...   verl's tool yaml instead of a file of function tools
#   ENGINE=megatron ...    Megatron instead of FSDP2
#   CHECK=1 ...            only check the run with verl-hdpo doctor: seconds, no GPU taken
#
# REWARD is not needed with reward.reward_manager.name=hdpo, which judges by rules or asks a judge, nor where an override
# names your own reward function or manager.
set -euo pipefail

: "${TRAIN:?training data, a parquet or jsonl file}" "${VAL:?validation data}"
reward=()
if [[ -n ${REWARD:-} ]]; then
    reward=(reward.custom_reward_function.path="$REWARD")
else
    judged=
    for override in "$@"; do
        case ${override##+} in
            reward.reward_manager.name=hdpo) judged=1 ;;
            reward.reward_manager.name=*) judged= ;; # the last one counts
        esac
    done
    for override in "$@"; do
        case ${override##+} in
            reward.custom_reward_function.path=?* | reward.reward_manager.module.path=?*) judged=1 ;;
        esac
    done
    : "${judged:?set REWARD, a Python file with compute_score() that returns a number, or a dict with score and acc}"
fi
: "${TOOLS:?the tools, a Python file of verl function tools or a tool yaml of verl}"
ALGO=${ALGO:-hdpo}
ENGINE=${ENGINE:-fsdp2}
MODEL=${MODEL:-Qwen/Qwen3-8B}
NODES=${NODES:-1}
GPUS=${GPUS:-8}
TP=${TP:-2}
case $TOOLS in
    *.yaml | *.yml) TOOLS_KEY=tool_config_path ;;
    *) TOOLS_KEY=function_tool_path ;;
esac

args=(
    algorithm.adv_estimator="$ALGO"
    +algorithm.hdpo.observe=true # log tool use with any estimator
    ${reward[@]+"${reward[@]}"} # bash before 4.4 takes an empty array for an unset one
    data.train_files="$TRAIN"
    data.val_files="$VAL"
    data.train_batch_size=256
    data.max_prompt_length=2048
    data.max_response_length=8192
    actor_rollout_ref.model.path="$MODEL"
    actor_rollout_ref.actor.optim.lr=1e-6
    actor_rollout_ref.actor.ppo_mini_batch_size=64
    actor_rollout_ref.actor.use_dynamic_bsz=true
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu=16384
    actor_rollout_ref.actor.use_kl_loss=false
    actor_rollout_ref.rollout.name=vllm
    actor_rollout_ref.rollout.n=16
    actor_rollout_ref.rollout.tensor_model_parallel_size="$TP"
    actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=true
    actor_rollout_ref.rollout.multi_turn.enable=true
    actor_rollout_ref.rollout.multi_turn.format=hermes
    "actor_rollout_ref.rollout.multi_turn.$TOOLS_KEY=$TOOLS"
    actor_rollout_ref.rollout.multi_turn.max_assistant_turns=8
    actor_rollout_ref.rollout.multi_turn.max_tool_response_length=2048
    actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent
    trainer.nnodes="$NODES"
    trainer.n_gpus_per_node="$GPUS"
    trainer.save_freq=20
    trainer.test_freq=10
    trainer.logger='[console]' # or [console,wandb], [console,tensorboard]
    trainer.project_name=verl-hdpo
    trainer.experiment_name="$ALGO-$ENGINE"
)
case $ENGINE in
    fsdp2)
        config=ppo_trainer
        args+=(
            actor_rollout_ref.actor.strategy=fsdp2
            actor_rollout_ref.model.enable_gradient_checkpointing=true
            actor_rollout_ref.model.use_remove_padding=true
        )
        ;;
    megatron)
        config=ppo_megatron_trainer
        args+=(
            actor_rollout_ref.actor.megatron.tensor_model_parallel_size="$TP"
            actor_rollout_ref.actor.megatron.pipeline_model_parallel_size="${PP:-2}"
            actor_rollout_ref.actor.megatron.use_mbridge=true
            actor_rollout_ref.actor.megatron.vanilla_mbridge=true # what verl-hdpo[megatron] installs
        )
        ;;
    *)
        echo "ENGINE=$ENGINE: use fsdp2 or megatron" >&2
        exit 2
        ;;
esac

if [[ -n ${CHECK:-} ]]; then
    exec verl-hdpo doctor --config-name "$config" -- "${args[@]}" "$@"
fi
exec python3 -m verl.trainer.main_ppo --config-name="$config" "${args[@]}" "$@"
