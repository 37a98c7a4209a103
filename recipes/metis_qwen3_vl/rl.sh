#!/usr/bin/env bash
# Stage 2: RL with HDPO and the paper's hyper-parameters, on 8 GPUs or more. FSDP2 or Megatron.
#
#   TRAIN=train.parquet VAL=vstar.parquet MODEL=cold-start/ JUDGE=http://10.0.0.7:8000 recipes/metis_qwen3_vl/rl.sh [overrides]
#   ALGO=grpo ...          the paper's other arm: the same run without the efficiency channel
#   ENGINE=megatron ...    Megatron instead of FSDP2
#   CHECK=1 ...            only check the run with verl-hdpo doctor: seconds, no GPU taken
#   PRINT=1 ...            only print the overrides, one a line
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

: "${TRAIN:?questions, a parquet file that verl-hdpo convert rl wrote}" "${VAL:?questions for validation}"
: "${MODEL:?the cold start, in Hugging Face format}"
ALGO=${ALGO:-hdpo}
ENGINE=${ENGINE:-fsdp2}
NODES=${NODES:-1}
GPUS=${GPUS:-8}
TOOLS=${TOOLS:-$here/tools.yaml}

args=(
    algorithm.adv_estimator="$ALGO"
    +algorithm.hdpo.observe=true # log tool use with any estimator
    +algorithm.hdpo.show_tools=false # the rows' system prompts describe them
    +algorithm.hdpo.observation_role=user
    +algorithm.hdpo.tool_timeout=400
    +algorithm.hdpo.max_images=16
    reward.reward_manager.name=hdpo # 0.9 answer + 0.1 format
    +reward.reward_kwargs.grammar=reason
    data.train_files="$TRAIN"
    data.val_files="$VAL"
    data.train_batch_size=128
    data.max_prompt_length=24576
    data.max_response_length=16384
    data.filter_overlong_prompts=false
    data.truncation=error
    actor_rollout_ref.model.path="$MODEL"
    actor_rollout_ref.model.use_remove_padding=true
    actor_rollout_ref.model.enable_gradient_checkpointing=true
    actor_rollout_ref.actor.optim.lr=1e-6
    actor_rollout_ref.actor.optim.weight_decay=0.01
    actor_rollout_ref.actor.ppo_mini_batch_size=64
    actor_rollout_ref.actor.ppo_epochs=1
    actor_rollout_ref.actor.use_dynamic_bsz=true
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu=40960
    actor_rollout_ref.actor.use_kl_loss=false
    actor_rollout_ref.actor.entropy_coeff=0
    actor_rollout_ref.actor.clip_ratio=0.2
    actor_rollout_ref.actor.clip_ratio_c=3.0
    actor_rollout_ref.actor.loss_agg_mode=token-mean
    actor_rollout_ref.actor.checkpoint.save_contents='[model,optimizer,extra,hf_model]'
    actor_rollout_ref.rollout.name=vllm
    actor_rollout_ref.rollout.n=16
    actor_rollout_ref.rollout.temperature=1.0
    actor_rollout_ref.rollout.top_p=1.0
    actor_rollout_ref.rollout.tensor_model_parallel_size=1
    actor_rollout_ref.rollout.gpu_memory_utilization=0.7
    actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=true
    actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu=40960
    actor_rollout_ref.rollout.val_kwargs.do_sample=true
    actor_rollout_ref.rollout.val_kwargs.temperature=1.0
    '+actor_rollout_ref.rollout.engine_kwargs.vllm.limit_mm_per_prompt={image:16,video:0}'
    actor_rollout_ref.rollout.multi_turn.enable=true
    actor_rollout_ref.rollout.multi_turn.format=hermes
    actor_rollout_ref.rollout.multi_turn.tool_config_path="$TOOLS"
    actor_rollout_ref.rollout.multi_turn.max_assistant_turns=10
    actor_rollout_ref.rollout.multi_turn.max_tool_response_length=32768 # characters: about 8,192 tokens
    actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent
    trainer.total_training_steps=200
    trainer.total_epochs=10
    trainer.save_freq=50
    trainer.test_freq=50
    trainer.nnodes="$NODES"
    trainer.n_gpus_per_node="$GPUS"
    trainer.logger='[console]'
    trainer.project_name=metis
    trainer.experiment_name="$ALGO-$ENGINE"
)
if [[ $ALGO == hdpo ]]; then
    args+=(+algorithm.hdpo.w_tool=0.15)
fi
if [[ -n ${JUDGE:-} ]]; then # where the rules cannot decide
    args+=(
        "+reward.reward_kwargs.judge.endpoints=[$JUDGE]"
        +reward.reward_kwargs.judge.model="${JUDGE_MODEL:-Qwen/Qwen3-VL-30B-A3B-Instruct}"
        +reward.reward_kwargs.judge.images=true
    )
fi
case $ENGINE in
    fsdp2)
        config=ppo_trainer
        args+=(actor_rollout_ref.actor.strategy=fsdp2)
        ;;
    megatron)
        config=ppo_megatron_trainer
        args+=(
            actor_rollout_ref.actor.megatron.tensor_model_parallel_size="${TP:-4}"
            actor_rollout_ref.actor.megatron.use_mbridge=true
            actor_rollout_ref.actor.megatron.vanilla_mbridge=true # what verl-hdpo[megatron] installs
        )
        ;;
    *)
        echo "ENGINE=$ENGINE: use fsdp2 or megatron" >&2
        exit 2
        ;;
esac
if [[ -n ${PRINT:-} ]]; then
    printf '%s\n' "${args[@]}" "$@"
elif [[ -n ${CHECK:-} ]]; then
    exec verl-hdpo doctor --config-name "$config" -- "${args[@]}" "$@"
else
    exec python3 -m verl.trainer.main_ppo --config-name="$config" "${args[@]}" "$@"
fi
