#!/usr/bin/env bash
# A dense model with FSDP2: 8B on 8 GPUs, or 32B on 64. The rest is recipes/one_word/run.sh, with its variables.
#
#   SIZE=8b  TRAIN=... VAL=... REWARD=... TOOLS=... recipes/dense_fsdp2/run.sh [overrides]
#   SIZE=32b ...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

case ${SIZE:-8b} in
    8b)
        export MODEL=${MODEL:-Qwen/Qwen3-8B} NODES=${NODES:-1} TP=${TP:-2}
        size=(data.train_batch_size=256 actor_rollout_ref.actor.ppo_mini_batch_size=64)
        ;;
    32b)
        export MODEL=${MODEL:-Qwen/Qwen3-32B} NODES=${NODES:-8} TP=${TP:-4}
        size=(
            data.train_batch_size=512
            actor_rollout_ref.actor.ppo_mini_batch_size=128
            actor_rollout_ref.actor.ulysses_sequence_parallel_size=4
            actor_rollout_ref.actor.fsdp_config.param_offload=true
            actor_rollout_ref.actor.fsdp_config.optimizer_offload=true
        )
        ;;
    *)
        echo "SIZE=$SIZE: use 8b or 32b" >&2
        exit 2
        ;;
esac
exec "$here/../one_word/run.sh" "${size[@]}" actor_rollout_ref.rollout.gpu_memory_utilization=0.7 "$@"
