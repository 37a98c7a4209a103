"""What each cluster recipe starts: its own entrypoint with its own variables, up to verl's command line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from run_findings import run_findings
from tool_servers import TOKEN, in_thread

from verl_hdpo.adapters.served_tools import load_served_tools
from verl_hdpo.tools.search.index_build import build as build_index
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.server import TOKEN_ENV

RECIPES = Path(__file__).parents[2] / "recipes"
RAY_JOB = yaml.safe_load((RECIPES / "kuberay" / "rayjob.yaml").read_text())
CASES = {
    "one_word": {"NODES": "8"},
    "dense_fsdp2": {"SIZE": "32b", "NODES": "8"},
    "moe_megatron": {"SIZE": "64", "NODES": "8"},
}
CONFIGS = {"one_word": "ppo_trainer", "dense_fsdp2": "ppo_trainer", "moe_megatron": "ppo_megatron_trainer"}


class Started:
    """Starts a run on each kind of cluster; returns verl's command line."""

    def __init__(self, folder, stand_ins, variables):
        self.folder, self.variables, self.stand_ins = folder, variables, stand_ins

    def _verl(self, recipe: str) -> list[str]:
        module, name, config, *arguments = (self.folder / "started").read_text().splitlines()
        assert (module, name) == ("-m", "verl.trainer.main_ppo")
        assert config == f"--config-name={CONFIGS[recipe]}"
        return arguments

    def kuberay(self, servers="[http://127.0.0.1:9]", **changed: str) -> list[str]:
        variables = yaml.safe_load(RAY_JOB["spec"]["runtimeEnvYAML"])["env_vars"] | changed
        assert all(isinstance(value, str) for value in variables.values()), "Ray takes texts only"
        here = {name: value.replace("/shared", str(self.folder)) for name, value in variables.items()}
        subprocess.run(
            RAY_JOB["spec"]["entrypoint"], shell=True, check=True, cwd=RECIPES.parent,
            env={"PATH": self.stand_ins.path, **here, "TOOL_SERVERS": servers},
        )  # fmt: skip
        return self._verl(variables.get("RECIPE", "one_word"))

    def ray_job(self, **more: str) -> list[str]:
        self.stand_ins("ray", f'exec {sys.executable} {self.folder}/job.py "$@"')
        (self.folder / "job.py").write_text(
            "import json, os, sys\n"
            "given, command = json.loads(sys.argv[4]), sys.argv[6:]\n"
            "assert sys.argv[1:4] == ['job', 'submit', '--runtime-env-json'] and sys.argv[5] == '--'\n"
            "os.execve(command[0], command, {'PATH': os.environ['PATH'], **given['env_vars']})\n"
        )
        given = {"RAY_API_SERVER_ADDRESS": "http://head:8265", "PATH": self.stand_ins.path, **self.variables, **more}
        subprocess.run([RECIPES / "ray_jobs" / "submit.sh"], env=given, check=True)
        return self._verl(more.get("RECIPE", "one_word"))

    def slurm(self, nodes="8", port="9", **more: str) -> list[str]:
        self.stand_ins("scontrol", "[[ $3 = gpus ]] && echo g1 || echo 127.0.0.1")
        self.stand_ins("curl", "exit 0")
        self.stand_ins(
            "srun",
            'case "$*" in *--het-group=1*) exec sleep 600 ;; esac\n'
            "[[ -n ${RAY_DOES_NOT_START:-} ]] && exit 0\n"
            'while [[ $1 != -- ]]; do shift; done; shift; exec "$@"',
        )
        given = {
            "PATH": self.stand_ins.path, "OUT": str(self.folder / "out"), "PORT": port, "INDEX": "/shared/index",
            "SLURM_SUBMIT_DIR": str(RECIPES.parent), "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST_HET_GROUP_0": "gpus", "SLURM_JOB_NODELIST_HET_GROUP_1": "cpus",
            "SLURM_JOB_NUM_NODES_HET_GROUP_0": nodes, "SLURM_NTASKS_PER_NODE_HET_GROUP_1": "1",
            "SLURM_CPUS_PER_TASK_HET_GROUP_0": "96", "SLURM_CPUS_PER_TASK_HET_GROUP_1": "16",
            **self.variables, **more,
        }  # fmt: skip
        script = ["bash", RECIPES / "slurm" / "train.sbatch"]
        job = subprocess.Popen(script, env=given, stdout=-1, stderr=-1, text=True, start_new_session=True)
        try:
            job.wait(120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, 9)
        if job.returncode:
            raise subprocess.CalledProcessError(job.returncode, "train.sbatch", stderr=job.stderr.read())
        return self._verl(more.get("RECIPE", "one_word"))


@pytest.fixture
def started(tmp_path, stand_ins, run_files, monkeypatch):
    monkeypatch.chdir(RECIPES.parent)
    run_files["TOOLS"] = str(RECIPES.parent / "examples" / "quickstart" / "tools.py")
    return Started(tmp_path, stand_ins, run_files)


def value(arguments: list[str], key: str) -> str | None:
    """The last override of a key, as hydra takes it."""
    return dict(each.lstrip("+").split("=", 1) for each in arguments).get(key)


def all_nodes(arguments: list[str]) -> int:
    """Nodes that verl waits for."""
    return int(value(arguments, "trainer.nnodes")) + int(value(arguments, "actor_rollout_ref.rollout.nnodes") or 0)


@pytest.mark.parametrize("cluster", ["kuberay", "ray_job", "slurm"])
@pytest.mark.parametrize("recipe", CASES)
def test_every_cluster_starts_every_recipe_on_the_nodes_that_it_has(started, cluster, recipe):
    arguments = getattr(started, cluster)(RECIPE=recipe, **CASES[recipe])
    assert all_nodes(arguments) == 8
    assert (value(arguments, "trainer.v1.trainer_mode") == "separate_async") == (recipe == "moe_megatron")
    assert (value(arguments, "data.train_batch_size") == "512") == (recipe == "dense_fsdp2")


@pytest.mark.parametrize("cluster", ["kuberay", "ray_job", "slurm"])
def test_an_unknown_recipe_is_told(started, cluster):
    with pytest.raises(subprocess.CalledProcessError):
        getattr(started, cluster)(RECIPE="metis")
    assert not (started.folder / "started").exists()


def test_the_ray_job_is_one_that_doctor_accepts(started, monkeypatch):
    (config,) = (each for each in yaml.safe_load_all((RECIPES / "kuberay" / "tools.yaml").read_text())
                 if each["kind"] == "ConfigMap")  # fmt: skip
    (started.folder / "tools.yaml").write_text(config["data"]["tools.yaml"])
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    served, settings = load_served_tools(started.folder / "tools.yaml")
    with in_thread(served, **settings.model_dump()) as url:
        arguments = started.kuberay(f"[{url}]")
        monkeypatch.setenv("TOOL_SERVERS", f"[{url}]")
        findings = run_findings(arguments, "ppo_trainer")
    assert value(arguments, "reward.custom_reward_function.path") is None
    assert [str(f) for f in findings if f.mark == "FAIL"] == []


def test_the_slurm_job_is_one_that_doctor_accepts(started, monkeypatch):
    build_index([Passage("Etna", "Mount Etna is a volcano.", "1")], started.folder / "index", "english")
    monkeypatch.setenv("INDEX", str(started.folder / "index"))
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    served, settings = load_served_tools(RECIPES / "tools" / "tools.yaml")
    with in_thread(served, **settings.model_dump()) as url:
        arguments = started.slurm(port=url.rpartition(":")[2], RECIPE="dense_fsdp2", SIZE="32b")
        monkeypatch.setenv("TOOL_SERVERS", f"[{url}]")
        findings = run_findings(arguments, "ppo_trainer")
    assert [str(f) for f in findings if f.mark == "FAIL"] == []


def test_a_ray_job_of_a_mixture_of_experts_is_one_that_doctor_accepts(started):
    findings = run_findings(started.ray_job(RECIPE="moe_megatron", SIZE="64", EP="4"), "ppo_megatron_trainer")
    # Megatron is not installed beside the rest.
    assert [f.subject for f in findings if f.mark != "ok"] == ["training engine"], findings


def test_on_slurm_a_training_that_was_never_started_fails_the_job(started):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        started.slurm(RAY_DOES_NOT_START="1")
    assert failed.value.returncode == 1 and "did Ray start on g1" in failed.value.stderr


def test_on_slurm_what_the_tools_read_is_asked_for_at_once(started):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        started.slurm(INDEX="")
    assert "recipes/tools/tools.yaml reads INDEX" in failed.value.stderr


ONE_WORD = RECIPES / "one_word" / "run.sh"


@pytest.mark.parametrize(
    ("overrides", "is_enough"),
    [
        ([], False),
        (["reward.reward_manager.name=naive"], False),
        (["reward.reward_manager.name=hdpo", "reward.reward_manager.name=dapo"], False),
        (["reward.reward_manager.name=hdpo"], True),
        (["+reward.custom_reward_function.path=mine.py"], True),
        (["reward.reward_manager.module.path=mine.py"], True),
    ],
)
def test_a_reward_function_is_asked_for_where_nothing_else_judges(started, overrides, is_enough):
    given = {name: started.variables[name] for name in ("TRAIN", "VAL", "TOOLS")} | {"PATH": started.stand_ins.path}
    done = subprocess.run([ONE_WORD, *overrides], env=given, capture_output=True, text=True)
    assert (done.returncode == 0) == is_enough
    assert is_enough == ("set REWARD, a Python file" not in done.stderr)
    assert is_enough == (started.folder / "started").exists()


def test_a_mixture_of_experts_needs_nodes_that_train():
    given = {"PATH": os.environ["PATH"], "NODES": "4"}
    done = subprocess.run([RECIPES / "moe_megatron" / "run.sh"], env=given, capture_output=True, text=True)
    assert done.returncode == 2 and "NODES=4 with 4 nodes that generate leaves none to train" in done.stderr


READ = {
    name for script in RECIPES.glob("*/run.sh") for name in re.findall(r"\$\{([A-Z_]+)(?:[:}\-+])", script.read_text())
} | {
    name for file in (RECIPES / "tools").glob("*.yaml") for name in re.findall(r"oc\.env:([A-Z_]+)\}", file.read_text())
}


def test_a_ray_job_hands_on_every_variable_that_recipes_and_their_tools_read(started):
    started.stand_ins("ray", f'printf "%s" "$4" > {started.folder}/given')
    names = READ - {"RECIPE"}
    assert {"SIZE", "EP", "ROLLOUT_NODES", "REWARD", "INDEX", "TOOL_SERVERS"} <= names
    given = {name: f"of {name}" for name in names}
    environment = {"RAY_API_SERVER_ADDRESS": "http://head:8265", "PATH": started.stand_ins.path, **given}
    subprocess.run([RECIPES / "ray_jobs" / "submit.sh"], env=environment, check=True)
    assert json.loads((started.folder / "given").read_text()) == {"env_vars": given}


@pytest.mark.parametrize("file", ["train.sbatch", "README.md"])
def test_the_examples_of_slurm_set_all_that_is_demanded(file):
    text = (RECIPES / "slurm" / file).read_text()
    (line,) = re.findall(r"^(?:#\s+|export )(TRAIN=.*)$", text, re.MULTILINE)
    named = {word.split("=")[0] for word in shlex.split(line) if "=" in word}
    demanded = set(re.findall(r"\$\{([A-Z_]+):\?", ONE_WORD.read_text())) - {"TOOLS"} | {"REWARD", "OUT"}
    assert named >= demanded | set(re.findall(r"oc\.env:([A-Z_]+)\}", (RECIPES / "tools" / "tools.yaml").read_text()))
