#!/usr/bin/env bash
# A training as a Ray job: on any Ray cluster, from any machine that reaches its dashboard.
#
#   RAY_API_SERVER_ADDRESS=http://HEAD:8265 TRAIN=... VAL=... REWARD=... TOOLS=... recipes/ray_jobs/submit.sh [overrides]
#
# RECIPE: one_word (default), dense_fsdp2 or moe_megatron, with the variables that it reads, such as SIZE.
# CHECK=1: the job only checks the run with verl-hdpo doctor, on the cluster.
# The data, reward, tools and this repository (REPOSITORY, by default this one) must be at the same place on every node.
# TOOL_SERVERS and VERL_HDPO_TOOL_TOKEN are handed to the job's workers if they are set.
set -euo pipefail

: "${RAY_API_SERVER_ADDRESS:?the dashboard, such as http://HEAD:8265}"
here=$(cd "$(dirname "$0")/../.." && pwd)
run=recipes/${RECIPE:-one_word}/run.sh
[[ -x $here/$run ]] || { echo "RECIPE=$RECIPE: there is no $run; use one_word, dense_fsdp2 or moe_megatron" >&2; exit 2; }

# What the recipes read, and what the tools read in the workers.
variables=(
    TRAIN VAL REWARD TOOLS ALGO ENGINE MODEL NODES ROLLOUT_NODES GPUS SIZE TP PP EP CHECK
    INDEX TOOL_SERVERS VERL_HDPO_TOOL_TOKEN
)
environment=$(
    python3 - "${variables[@]}" <<'END'
import json, os, sys

print(json.dumps({"env_vars": {name: os.environ[name] for name in sys.argv[1:] if name in os.environ}}))
END
)
exec ray job submit --runtime-env-json "$environment" -- "${REPOSITORY:-$here}/$run" "$@"
