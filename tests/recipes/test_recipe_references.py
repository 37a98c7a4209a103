"""Every file, variable, key, image and object that the cluster recipes name is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
FOLDERS = ("slurm", "kuberay", "ray_jobs", "container", "one_word", "moe_megatron", "dense_fsdp2")
FILES = [file for name in FOLDERS for file in sorted((RECIPES / name).iterdir())]
FILES += [RECIPES / "runbook.md", RECIPES / "sizing.md"]
READMES = [file for file in FILES if file.suffix == ".md"]
KUBERAY = {
    file.name: list(yaml.safe_load_all(file.read_text()))
    for file in (RECIPES / "kuberay").glob("*.yaml")
    if file.name != "tools_of_run.yaml"
}
OBJECTS = [document for documents in KUBERAY.values() for document in documents]
(RAY_JOB,) = KUBERAY["rayjob.yaml"]
VERSION = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]


def named(path):
    return str(path.relative_to(RECIPES))


def of(kind):
    return {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == kind}


def found(node, key):
    """All values of a key, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from found(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from found(value, key)


def pods():
    cluster = RAY_JOB["spec"]["rayClusterSpec"]
    templates = [each["template"] for each in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]]
    others = [*of("Deployment").values(), *of("StatefulSet").values()]
    return templates + [each["spec"]["template"] for each in others]


@pytest.mark.parametrize("file", FILES, ids=named)
def test_every_file_is_there(file):
    text = file.read_text()
    # Not what comes after another folder, as in /work/recipes, and no pattern.
    for path in re.findall(r"(?<![\w/.$}])((?:recipes|docs|benchmarks|tests|examples)/[\w./-]*\w)", text):
        assert (ROOT / path).exists(), path
    if file.suffix == ".md":
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (file.parent / link).exists(), link


NOT_READ_HERE = {"IPC_LOCK", "NCCL_IB_HCA", "NCCL_SOCKET_IFNAME", "NCCL_DEBUG", "PWD", "HEAD", "ID", "SERVER", "DUMP"}
"""Read by NCCL and the shell, a capability, or a word to replace."""


def read_somewhere():
    scripts = [file for file in RECIPES.rglob("*") if file.suffix in (".sh", ".sbatch")]
    names = {name for file in scripts for name in re.findall(r"\$\{?!?([A-Z][A-Z0-9_]+)", file.read_text())}
    for file in [*RECIPES.rglob("*.yaml"), *RECIPES.rglob("*.md")]:
        names |= set(re.findall(r"oc\.env:([A-Z_]+)", file.read_text()))
    names |= set(re.findall(r"^ARG (\w+)", (RECIPES / "container" / "Dockerfile").read_text(), re.MULTILINE))
    names |= set(re.findall(r'"(VERL_HDPO_\w+)"', (ROOT / "verl_hdpo/tools/server/__init__.py").read_text()))
    ray = Path(importlib.util.find_spec("ray").origin).parent
    for file in ("scripts/symmetric_run.py", "dashboard/modules/job/cli.py", "_private/ray_constants.py"):
        names |= set(re.findall(r'"(RAY_\w+)"', (ray / file).read_text()))
    return names


@pytest.mark.parametrize("file", FILES, ids=named)
def test_every_variable_is_read_by_something(file):
    text = file.read_text()
    used = set(re.findall(r"(?<![\w.$-])([A-Z][A-Z0-9_]+)=(?=[^=\s,])", text))  # NAME=value
    used |= {name for name in re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`", text)}
    inside = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", text))  # read in the same file
    assert used <= read_somewhere() | inside | NOT_READ_HERE | {"TAG"}, used - read_somewhere() - inside


def test_every_variable_of_the_pods_and_the_job_is_read_by_something():
    variables = set(yaml.safe_load(RAY_JOB["spec"]["runtimeEnvYAML"])["env_vars"])
    for env in found([pod["spec"] for pod in pods()], "env"):
        variables |= {each["name"] for each in env}
    assert variables <= read_somewhere()


def test_every_image_is_the_one_that_the_readme_pushes():
    image = f"registry.example/verl-hdpo:{VERSION}"
    assert set(found(OBJECTS, "image")) == {image}
    assert all(container.get("imagePullPolicy") for pod in pods() for container in pod["spec"]["containers"])
    text = (RECIPES / "container" / "README.md").read_text()
    assert f"-t verl-hdpo:{VERSION} ." in text and f'docker push "$REGISTRY/verl-hdpo:{VERSION}"' in text
    for file in READMES:
        assert not re.search(r":latest\b", file.read_text())
        assert set(re.findall(r"verl-hdpo:([\d.]+\d)", file.read_text())) <= {VERSION}, file


def test_every_object_that_a_pod_names_is_made():
    text = (RECIPES / "kuberay" / "README.md").read_text()
    secrets = set(re.findall(r"kubectl create secret generic (\S+)", text))
    assert {each["name"] for each in found(OBJECTS, "secretKeyRef")} | set(found(OBJECTS, "secretName")) == secrets
    assert {each["credentials"]["name"] for each in found(OBJECTS, "authorization")} == secrets
    assert set(found(OBJECTS, "claimName")) == set(of("PersistentVolumeClaim"))
    assert {each["name"] for each in found(OBJECTS, "configMap")} == set(of("ConfigMap"))
    for target in found(OBJECTS, "scaleTargetRef"):
        assert target["name"] in of(target["kind"])
    for name, document in KUBERAY.items():
        assert f"apply {name} " in text, f"the README does not apply {name} ({document[0]['kind']})"


def test_every_file_on_the_volume_is_listed():
    text = (RECIPES / "kuberay" / "README.md").read_text()
    listed = set(re.findall(r"`(/shared/[^`]*)`", text))
    given = "".join((RECIPES / "kuberay" / name).read_text() for name in KUBERAY)
    assert set(re.findall(r"/shared/[\w./-]*\w", given)) == listed


def test_pods_run_as_the_user_of_the_image_and_can_write_the_volume():
    user = int(re.search(r"^USER (\d+)$", (RECIPES / "container" / "Dockerfile").read_text(), re.MULTILINE)[1])
    for pod in pods():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] == security["fsGroup"] == user
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_pods_with_gpus_tolerate_their_taint():
    with_gpus = [pod for pod in pods() if any("nvidia.com/gpu" in each for each in found(pod, "limits"))]
    assert len(with_gpus) == 2
    for pod in with_gpus:
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["spec"]["tolerations"]


def test_the_nodes_of_the_job_are_those_of_the_cluster():
    (group,) = RAY_JOB["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    nodes = int(yaml.safe_load(RAY_JOB["spec"]["runtimeEnvYAML"])["env_vars"]["NODES"])
    assert nodes == group["replicas"] == group["minReplicas"] == group["maxReplicas"]


@pytest.mark.parametrize("app", ["tools", "judge"])
def test_prometheus_may_scrape_what_the_autoscaler_and_the_dashboard_need(app):
    (pod,) = (each for each in pods() if each["metadata"]["labels"] == {"app": app})
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    monitor, policy = of("PodMonitor")[app]["spec"], of("NetworkPolicy")[app]["spec"]
    assert monitor["selector"] == policy["podSelector"] == {"matchLabels": {"app": app}}
    (endpoint,), (rule,) = monitor["podMetricsEndpoints"], policy["ingress"]
    assert [{"port": ports[endpoint["port"]]}] == rule["ports"]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}} in rule["from"]


def test_the_judge_scales_on_a_metric_that_vllm_has_and_the_monitor_renames():
    ((metric,),) = ([each["metric"]["name"] for each in found(of("HorizontalPodAutoscaler")["judge"], "pods")],)
    ((renamed,),) = found(of("PodMonitor")["judge"], "metricRelabelings")
    assert renamed["replacement"] == metric
    vllm = importlib.util.find_spec("vllm")
    if vllm is None:
        pytest.skip("vLLM is not installed")
    assert f'"{renamed["regex"]}"' in (Path(vllm.origin).parent / "v1" / "metrics" / "loggers.py").read_text()


def test_every_key_of_verl_that_a_readme_names_is_in_its_config():
    verl = Path(importlib.util.find_spec("verl").origin).parent / "trainer" / "config"
    known = "\n".join(file.read_text() for file in verl.rglob("*.yaml"))
    for file in READMES:
        for key in re.findall(r"`(?:trainer|data|actor_rollout_ref|reward)\.([a-z_.]+)[=`]", file.read_text()):
            for part in key.split("."):
                assert re.search(rf"^ *\+?{part}:", known, re.MULTILINE), key
