#!/usr/bin/env bash
# Stage 3: how a model uses its tools on V*, HRBench, MathVista and the like, and how accurate it is.
#
#   DATA="vstar.parquet hrbench4k.parquet" BEFORE=cold-start/ AFTER=hdpo/ recipes/metis_qwen3_vl/evaluate.sh [overrides]
#
# The overrides of rl.sh count too, and its variables: tools, lengths and judge are those of the run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

: "${DATA:?parquet files that verl-hdpo convert rl wrote}" "${BEFORE:?a checkpoint}" "${AFTER:?another checkpoint}"
data=() files=()
read -ra files <<<"$DATA"
for file in "${files[@]}"; do
    data+=(--data "$file")
done
mapfile -t overrides < <(TRAIN=${files[0]} VAL=${files[0]} MODEL=$AFTER PRINT=1 "$here/rl.sh" "$@")
# Tools are in the rows' own prompts, so the token that a call begins with is banned in the arm without tools.
exec verl-hdpo eval --model before="$BEFORE" --model after="$AFTER" "${data[@]}" --without token \
    --out "${OUT:-outputs/metis_eval}" -- "${overrides[@]}"
