#!/usr/bin/env bash
# The entrypoint of rayjob.yaml: starts the recipe that RECIPE names. It is read here, in the job: KubeRay's own shell,
# which submits the job, does not have the job's variables.
set -euo pipefail

run=$(dirname "$0")/../${RECIPE:-one_word}/run.sh
[[ -x $run ]] || { echo "RECIPE=$RECIPE: there is no $run; use one_word, dense_fsdp2 or moe_megatron" >&2; exit 2; }
exec "$run" "$@"
