"""The training and rollout engines that a run names: does verl know them, and are they installed?"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf
from verl.workers.engine import EngineRegistry
from verl.workers.rollout.replica import RolloutReplicaRegistry

from verl_hdpo.adapters.user_code import class_problems, in_words, module_problems
from verl_hdpo.doctor.sections import RUN
from verl_hdpo.runs.finding import Finding, Mark
from verl_hdpo.runs.verl_keys import ROLLOUT

ROLLOUT_PACKAGES = {"vllm": "vllm", "sglang": "sglang", "trtllm": "tensorrt_llm"}
BRIDGES = {
    False: ("megatron.bridge", "pip install megatron-core megatron-bridge"),
    True: ("mbridge", "pip install 'verl-hdpo[megatron]'"),
}
"""``actor.megatron.vanilla_mbridge`` -> the module that verl's engine imports for it, and what installs that."""


def check_engines(config: DictConfig) -> Iterator[Finding]:
    """The rollout engine, and that of the actor."""
    missing: Mark = "warn" if _on_other_machines(config) else "FAIL"
    here = ", and the workers need it there" if missing == "warn" else ""
    rollout, known = config.actor_rollout_ref.rollout, sorted(RolloutReplicaRegistry._registry)
    name = None if OmegaConf.is_missing(rollout, "name") else rollout.name
    if name is None:
        found = f"{ROLLOUT}.name is not set, and verl has no default for it"
        yield Finding(RUN, "FAIL", "rollout engine", found, (f"set {ROLLOUT}.name=vllm, verl 0.8's default",))
    elif name not in known:
        found = f"actor_rollout_ref.rollout.name={name}: verl has no such rollout engine"
        yield Finding(RUN, "FAIL", "rollout engine", found, (f"use one of {', '.join(known)}",))
    elif not _installed(package := ROLLOUT_PACKAGES.get(name, name)):
        found = f"actor_rollout_ref.rollout.name={name}: {package} is not installed on this machine{here}"
        yield Finding(RUN, missing, "rollout engine", found, (f"install it, or use one of {', '.join(known)}",))
    else:
        yield Finding(RUN, "ok", "rollout engine", name)

    strategy = str(config.actor_rollout_ref.actor.strategy)
    if strategy not in EngineRegistry._engines["language_model"]:
        yield _unknown_engine(config, strategy, missing, here)
    elif strategy == "megatron" and (bridge := _missing_bridge(config)):
        yield Finding(RUN, missing, "training engine", f"{bridge[0]}{here}", (bridge[1],))
    else:
        yield Finding(RUN, "ok", "training engine", strategy)


def check_named_modules(config: DictConfig) -> Iterator[Finding]:
    """Modules and classes of the owner's own that the config names, and workers import."""
    manager = OmegaConf.select(config, f"{ROLLOUT}.agent.agent_loop_manager_class")
    problems = [*class_problems(str(manager), "agent_loop_manager_class")] if manager else []
    libraries = config.actor_rollout_ref.model.get("external_lib") or []
    for name in [libraries] if isinstance(libraries, str) else libraries:
        problems += module_problems(str(name), "actor_rollout_ref.model.external_lib")
    for problem in problems:
        yield Finding(RUN, "FAIL", "modules", problem, ("every worker imports it: it must be found on all nodes",))


def _unknown_engine(config: DictConfig, strategy: str, missing: Mark, here: str) -> Finding:
    setting = f"actor_rollout_ref.actor.strategy={strategy}"
    module = f"verl.workers.engine.{strategy}"
    if importlib.util.find_spec(module) is None:
        known = ", ".join(sorted(EngineRegistry._engines["language_model"]))
        return Finding(RUN, "FAIL", "training engine", f"{setting}: verl has no such engine", (f"use one of {known}",))
    why = "it registers no engine for language models"
    try:
        importlib.import_module(module)
    except Exception as error:  # verl only warns of it
        why = in_words(error)
    install = BRIDGES[_vanilla(config)][1] if strategy == "megatron" else "install what it needs"
    found = f"{setting} cannot be imported on this machine{here}: {why}"
    return Finding(RUN, missing, "training engine", found, (install,))


def _vanilla(config: DictConfig) -> bool:
    return bool(OmegaConf.select(config, "actor_rollout_ref.actor.megatron.vanilla_mbridge", default=False))


def _missing_bridge(config: DictConfig) -> tuple[str, str] | None:
    vanilla = _vanilla(config)
    module, install = BRIDGES[vanilla]
    if _installed(module):
        return None
    setting = f"actor_rollout_ref.actor.megatron.vanilla_mbridge={str(vanilla).lower()}"
    other = BRIDGES[not vanilla][0]
    instead = f"; or set it to {str(not vanilla).lower()}, for {other}, which is installed" if _installed(other) else ""
    return f"{setting} needs {module}, which is not installed", f"{install}{instead}"


def _on_other_machines(config: DictConfig) -> bool:
    """Whether the workers may have packages that this machine lacks."""
    ray_init = OmegaConf.select(config, "ray_kwargs.ray_init", default={})
    return config.trainer.nnodes > 1 or bool(ray_init.get("address") or os.environ.get("RAY_ADDRESS"))


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it
        return False
