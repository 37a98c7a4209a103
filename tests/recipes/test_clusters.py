"""Recipes for clusters: manifests against Kubernetes' schemas, scripts with the cluster's programs replaced."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

RECIPES = Path(__file__).parents[2] / "recipes"
MANIFESTS = [
    pytest.param(document, id=f"{path.name}-{document['kind']}")
    for path in (RECIPES / "kuberay" / name for name in ("tools.yaml", "judge.yaml", "shared.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
SCRIPTS = sorted([*RECIPES.rglob("*.sh"), *RECIPES.rglob("*.sbatch")])
RAY_JOB = yaml.safe_load((RECIPES / "kuberay" / "rayjob.yaml").read_text())


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_fits_kubernetes_schema(manifest):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_the_pods_of_the_ray_cluster_fit_kubernetes_schema():
    cluster = RAY_JOB["spec"]["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = {"apiVersion": "v1", "kind": "Pod", **group["template"]}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_training_has_as_many_tool_addresses_as_pods_there_can_be():
    (fleet,) = (each.values[0] for each in MANIFESTS if each.values[0]["kind"] == "HorizontalPodAutoscaler"
                and each.values[0]["metadata"]["name"] == "tools")  # fmt: skip
    urls = yaml.safe_load(RAY_JOB["spec"]["runtimeEnvYAML"])["env_vars"]["TOOL_SERVERS"]
    assert re.findall(r"tools-(\d+)\.tools:8700", urls) == [str(n) for n in range(fleet["spec"]["maxReplicas"])]


def test_every_file_that_the_ray_job_names_is_there():
    given = RAY_JOB["spec"]["entrypoint"] + RAY_JOB["spec"]["runtimeEnvYAML"]
    named = re.findall(r"recipes/\S+\.(?:sh|yaml)", given)
    assert os.access(RECIPES / "kuberay" / "start.sh", os.X_OK)
    assert len(named) == 2
    assert all((RECIPES.parent / name).is_file() for name in named)


def test_every_file_that_the_image_copies_is_there():
    copied = re.findall(r"^COPY (.*) \S+$", (RECIPES / "container" / "Dockerfile").read_text(), re.MULTILINE)
    assert copied and all((RECIPES.parent / name).exists() for line in copied for name in line.split())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(RECIPES)))
def test_a_script_can_be_read_by_bash(script):
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(RECIPES)))
def test_a_script_has_no_mistake_that_shellcheck_knows(script):
    checked = subprocess.run(["shellcheck", "--shell=bash", script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.fixture
def programs(tmp_path):
    """A folder of programs that write down how they were called; ``(folder, calls)``."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def add(name, body="exit 0"):
        text = f'#!/bin/bash\nprintf "%s\\n" "$(basename "$0") $*" >> {tmp_path}/calls\n{body}\n'
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    add("scontrol", '[[ $1 = show ]] && case $3 in gpus) printf "g1\\ng2\\n" ;; *) printf "c1\\nc2\\n" ;; esac\nexit 0')
    # Tool servers go on until they are ended; the training is done at once.
    add("srun", f'[[ $1 = --het-group=1 ]] && exec sleep 600\n'
                f'env | grep -E "^(TOOL|NODES|GPUS|VERL|RAY)" > {tmp_path}/environment\n'
                f'touch {tmp_path}/out/finished-7\nexit ${{TRAINING:-0}}')  # fmt: skip
    add("curl", f"exec grep --quiet '^srun --het-group=1 ' {tmp_path}/calls")  # a server answers once it runs
    add("ray")

    def calls():
        return (tmp_path / "calls").read_text().splitlines()

    return folder, calls


def on_slurm(tmp_path, folder, *overrides, **more):
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "OUT": str(tmp_path / "out"),
        "INDEX": "/shared/index",
        "SLURM_SUBMIT_DIR": str(RECIPES.parent),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST_HET_GROUP_0": "gpus",
        "SLURM_JOB_NODELIST_HET_GROUP_1": "cpus",
        "SLURM_JOB_NUM_NODES_HET_GROUP_0": "2",
        "SLURM_NTASKS_PER_NODE_HET_GROUP_1": "2",
        "SLURM_CPUS_PER_TASK_HET_GROUP_0": "90",
        "SLURM_CPUS_PER_TASK_HET_GROUP_1": "11",
        **more,
    }
    script = RECIPES / "slurm" / "train.sbatch"
    # A session of its own, which is ended whole, as Slurm ends a job.
    job = subprocess.Popen(["bash", script, *overrides], env=environment, stdout=-1, stderr=-1, start_new_session=True)
    try:
        job.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it ended, and left nothing running
            os.killpg(job.pid, 9)
    return job.returncode, dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())


def test_on_slurm_training_starts_when_every_tool_server_is_up(programs, tmp_path):
    folder, calls = programs
    status, environment = on_slurm(tmp_path, folder, "trainer.save_freq=5")
    assert status == 0
    servers = [f"http://{node}:{port}" for node in ("c1", "c2") for port in (8700, 8701)]
    asked = dict.fromkeys(call.split()[-1] for call in calls() if call.startswith("curl"))  # until it answers
    assert list(asked) == [f"{url}/health" for url in servers]
    (training,) = [call for call in calls() if "symmetric-run" in call]
    assert calls().index(training) > max(n for n, call in enumerate(calls()) if call.startswith("curl"))
    assert "--address g1:6379 --min-nodes 2" in training
    assert training.endswith(f"trainer.default_local_dir={tmp_path}/out trainer.resume_mode=auto trainer.save_freq=5")
    assert environment["TOOL_SERVERS"] == f"[{','.join(servers)}]"
    assert environment["RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT"] == "600"
    assert len(environment["VERL_HDPO_TOOL_TOKEN"]) == 64
    assert not any(environment["VERL_HDPO_TOOL_TOKEN"] in call for call in calls())


def test_on_slurm_each_step_gets_the_cores_of_its_group(programs, tmp_path):
    """Since 22.05 ``srun`` does not take them from the job."""
    folder, calls = programs
    on_slurm(tmp_path, folder)
    steps = {call.split()[1]: call for call in calls() if call.startswith("srun")}
    assert " --cpus-per-task=90 " in steps["--het-group=0"]
    assert " --cpus-per-task=11 " in steps["--het-group=1"]


@pytest.mark.parametrize("given", ["SRUN_OPTIONS", "CONTAINER"])
def test_on_slurm_both_steps_run_in_a_container(programs, tmp_path, given):
    folder, calls = programs
    on_slurm(tmp_path, folder, **{given: "of my image"})
    steps = [call for call in calls() if call.startswith("srun")]  # both begin at once
    assert [sum(f"of my image {what}" in step for step in steps) for what in ("bash -c", "ray symmetric-run")] == [1, 1]


def test_ray_waits_by_the_variable_that_slurm_sets():
    code = Path(importlib.util.find_spec("ray").origin).parent / "scripts" / "symmetric_run.py"
    assert '"RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT"' in code.read_text()


def test_on_slurm_a_failed_training_fails_the_job(programs, tmp_path):
    status, _ = on_slurm(tmp_path, programs[0], TRAINING="3")
    assert status == 3


def test_a_ray_job_gets_what_the_recipe_reads_and_nothing_else(programs, tmp_path):
    folder, calls = programs
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "RAY_API_SERVER_ADDRESS": "http://head:8265",
        "TRAIN": "/shared/my data.parquet",
        "SECRET": "s",
        "VERL_HDPO_TOOL_TOKEN": "t",
    }
    subprocess.run([RECIPES / "ray_jobs" / "submit.sh", "trainer.nnodes=2"], env=environment, check=True)
    (call,) = calls()
    given = json.loads(re.search(r"--runtime-env-json (\{.*\}) --", call)[1])
    assert given == {"env_vars": {"TRAIN": "/shared/my data.parquet", "VERL_HDPO_TOOL_TOKEN": "t"}}
    assert call.endswith("recipes/one_word/run.sh trainer.nnodes=2")
