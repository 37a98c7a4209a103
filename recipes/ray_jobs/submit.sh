#!/usr/bin/env bash
# One word as a Ray job: on any Ray cluster, from any machine that reaches its dashboard.
#
#   RAY_API_SERVER_ADDRESS=http://HEAD:8265 TRAIN=... VAL=... REWARD=... TOOLS=... recipes/ray_jobs/submit.sh [overrides]
#
# The data, reward, tools and this repository (REPOSITORY, by default this one) must be at the same place on every node.
# TOOL_SERVERS and VERL_HDPO_TOOL_TOKEN are handed to the job's workers if they are set.
set -euo pipefail

: "${RAY_API_SERVER_ADDRESS:?the dashboard, such as http://HEAD:8265}"
REPOSITORY=${REPOSITORY:-$(cd "$(dirname "$0")/../.." && pwd)}

# What run.sh reads, and what the tools read in the workers.
environment=$(
    python3 - TRAIN VAL REWARD TOOLS ALGO ENGINE MODEL NODES GPUS TP PP TOOL_SERVERS VERL_HDPO_TOOL_TOKEN INDEX <<'END'
import json, os, sys

print(json.dumps({"env_vars": {name: os.environ[name] for name in sys.argv[1:] if name in os.environ}}))
END
)
exec ray job submit --runtime-env-json "$environment" -- "$REPOSITORY/recipes/one_word/run.sh" "$@"
