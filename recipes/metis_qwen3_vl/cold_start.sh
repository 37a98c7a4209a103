#!/usr/bin/env bash
# Stage 1: the cold start, by verl's SFT trainer with FSDP2, on one node or several.
#
#   SFT=cold_start.parquet recipes/metis_qwen3_vl/cold_start.sh [overrides]
#   NODES=2 RANK_OF_NODE=0 MASTER=10.0.0.1 ...   on each node, with its own RANK_OF_NODE
#   PRINT=1 ...                                  only print the overrides, one a line
set -euo pipefail

: "${SFT:?the trajectories, a parquet file that verl-hdpo convert sft wrote}"
MODEL=${MODEL:-Qwen/Qwen3-VL-8B-Instruct}
GPUS=${GPUS:-8}
NODES=${NODES:-1}

args=(
    data.train_files="$SFT"
    data.train_batch_size=128
    data.micro_batch_size_per_gpu=1
    data.use_dynamic_bsz=true
    data.max_token_len_per_gpu=32768
    data.max_length=32768
    data.truncation=error # a trajectory cut within an image could not be trained on
    data.pad_mode=no_padding
    model.path="$MODEL"
    model.use_remove_padding=true
    model.enable_gradient_checkpointing=true
    engine.strategy=fsdp2
    optim.lr=1e-5
    optim.lr_scheduler_type=cosine
    optim.lr_warmup_steps_ratio=0.05
    optim.weight_decay=0.01
    optim.clip_grad=1.0
    checkpoint.save_contents='[model,optimizer,extra,hf_model]'
    trainer.total_epochs=2
    trainer.save_freq=200
    trainer.logger='[console]'
    trainer.project_name=metis
    trainer.experiment_name=cold-start
    trainer.n_gpus_per_node="$GPUS"
    trainer.nnodes="$NODES"
    "$@"
)
if [[ -n ${PRINT:-} ]]; then
    printf '%s\n' "${args[@]}"
    exit
fi
exec torchrun --nnodes="$NODES" --nproc-per-node="$GPUS" --node-rank="${RANK_OF_NODE:-0}" \
    --master-addr="${MASTER:-127.0.0.1}" --master-port="${MASTER_PORT:-29500}" -m verl.trainer.sft_trainer "${args[@]}"
