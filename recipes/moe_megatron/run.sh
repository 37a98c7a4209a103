#!/usr/bin/env bash
# Qwen3-30B-A3B, a mixture of experts, on Megatron with verl's separate_async trainer: rollout and training on GPUs of their own.
#
#   SIZE=64  TRAIN=... VAL=... REWARD=... TOOLS=... recipes/moe_megatron/run.sh [overrides]     64 GPUs
#   SIZE=512 ...                                                                              512 GPUs
#
# NODES: all nodes of the cluster. ROLLOUT_NODES of them generate, the others train. SIZE has a default for both.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

case ${SIZE:-64} in
    64) nodes=8 rollout=4 mini_batch=64 ;;
    512) nodes=64 rollout=32 mini_batch=256 ;;
    *)
        echo "SIZE=$SIZE: use 64 or 512" >&2
        exit 2
        ;;
esac
nodes=${NODES:-$nodes} rollout=${ROLLOUT_NODES:-$rollout}
if ((nodes <= rollout)); then
    echo "NODES=$nodes with $rollout nodes that generate leaves none to train: use more NODES, or fewer ROLLOUT_NODES" >&2
    exit 2
fi
# one_word takes NODES for the nodes that train.
export ENGINE=megatron MODEL=${MODEL:-Qwen/Qwen3-30B-A3B} NODES=$((nodes - rollout)) TP=${TP:-4} PP=${PP:-1}
sync_every=4 # mini-batches between two syncs of weights

exec "$here/../one_word/run.sh" \
    trainer.v1.trainer_mode=separate_async \
    trainer.v1.separate_async.parameter_sync_step="$sync_every" \
    data.train_batch_size=$((sync_every * mini_batch)) \
    actor_rollout_ref.actor.ppo_mini_batch_size="$mini_batch" \
    actor_rollout_ref.rollout.nnodes="$rollout" \
    actor_rollout_ref.rollout.n_gpus_per_node="${GPUS:-8}" \
    actor_rollout_ref.rollout.checkpoint_engine.backend=nccl \
    actor_rollout_ref.rollout.calculate_log_probs=true \
    actor_rollout_ref.actor.megatron.expert_model_parallel_size="${EP:-8}" \
    actor_rollout_ref.actor.megatron.expert_tensor_parallel_size=1 \
    actor_rollout_ref.actor.megatron.param_offload=true \
    actor_rollout_ref.actor.megatron.optimizer_offload=true \
    "$@"
