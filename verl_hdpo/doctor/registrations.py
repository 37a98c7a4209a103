"""Whether verl, imported in this process, has every part of the plugin; run in a fresh process by ``probe``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from verl_hdpo.doctor.sections import DEVICE, VERL
from verl_hdpo.runs.finding import Finding, Mark

NOT_THERE = "this plugin does not fit this verl, or the installation is damaged: pip install --upgrade verl-hdpo"


def torchvision() -> Iterator[Finding]:
    """A torchvision built for another torch breaks every model that transformers imports."""
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        version = importlib.import_module("torchvision").__version__
    except Exception as error:
        yield Finding(
            DEVICE,
            "FAIL",
            "torchvision",
            f"cannot be imported: {_one_line(error)}",
            ("it was built for another torch: pip uninstall torchvision (or install the build that matches torch)",),
        )
    else:
        yield Finding(DEVICE, "ok", "torchvision", version)


def device() -> Iterator[Finding]:
    """What torch can train on, and whether verl was told."""
    import torch

    platform = os.environ.get("VERL_PLATFORM", "").strip().lower()
    if platform == "cpu":
        yield Finding(DEVICE, "ok", "device", f"CPU (VERL_PLATFORM=cpu), torch {torch.__version__}")
    elif torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        yield Finding(DEVICE, "ok", "device", f"{torch.cuda.device_count()} x {', '.join(sorted(names))}")
    elif platform or importlib.util.find_spec("torch_npu") is not None:
        yield Finding(DEVICE, "ok", "device", f"VERL_PLATFORM={platform or 'unset'}, not CUDA; not looked into")
    else:
        yield Finding(
            DEVICE,
            "warn",
            "device",
            f"torch {torch.__version__} sees no GPU on this machine",
            (
                "on a head node without GPUs this is fine; to train on the CPU: make quickstart, or verl-hdpo compare "
                "--cpu",
            ),
        )


def registrations() -> Iterator[Finding]:
    """Import verl as a run does, then look in verl's registries."""
    try:
        import verl
    except Exception as error:
        yield Finding(VERL, "FAIL", "import verl", _one_line(error), ("see Packages above",))
        return
    if "verl_hdpo.plugin" not in sys.modules:
        yield Finding(
            VERL,
            "FAIL",
            "import verl",
            f"verl {verl.__version__} did not load the plugin",
            ("see the entry points and VERL_USE_EXTERNAL_PLUGINS above",),
        )
        return
    yield Finding(VERL, "ok", "import verl", f"verl {verl.__version__} loaded the plugin")
    from verl_hdpo.plugin import PARTS

    for name, (module, _) in PARTS.items():
        try:
            importlib.import_module(module)
            found = REGISTERED[name]()
        except Exception as error:
            yield Finding(VERL, "FAIL", name, f"after import {module}: {_one_line(error)}", (NOT_THERE,))
        else:
            mark: Mark = "ok" if found else "FAIL"
            yield Finding(VERL, mark, name, found or f"{module} knows nothing of it", () if found else (NOT_THERE,))


def _estimator() -> str:
    from verl.trainer.ppo.core_algos import get_adv_estimator_fn

    from verl_hdpo.settings.algorithms import ALGORITHMS

    for name in ALGORITHMS:
        get_adv_estimator_fn(name)
    return f"algorithm.adv_estimator={'|'.join(ALGORITHMS)}"


def _trainers() -> str:
    from verl.trainer.ppo.v1 import get_trainer_cls

    from verl_hdpo.adapters.names import TRAINER_MODES
    from verl_hdpo.adapters.trainer import hdpo_trainer

    if all((cls := get_trainer_cls(mode)) is hdpo_trainer(cls) for mode in TRAINER_MODES):
        return f"trainer.v1.trainer_mode={'|'.join(TRAINER_MODES)}"
    return ""


def _classic_trainer() -> str:
    from verl.trainer import main_ppo_v0
    from verl.trainer.ppo import ray_trainer

    from verl_hdpo.adapters.classic_trainer import ClassicTrainer

    wrapped = getattr(ray_trainer.compute_advantage, "_hdpo", False)
    return "trainer.use_v1=false" if main_ppo_v0.RayPPOTrainer is ClassicTrainer and wrapped else ""


def _agent_loop() -> str:
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

    from verl_hdpo.adapters.names import AGENT_LOOP

    return f"rollout.agent.default_agent_loop={AGENT_LOOP}" if AGENT_LOOP in _agent_loop_registry else ""


def _reward_manager() -> str:
    from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls

    from verl_hdpo.adapters.names import REWARD_MANAGER

    get_reward_manager_cls(REWARD_MANAGER)
    return f"reward.reward_manager.name={REWARD_MANAGER}"


def _reward_worker() -> str:
    from verl.experimental.reward_loop.reward_loop import RewardLoopWorker

    return "reward.reward_model as judge" if getattr(RewardLoopWorker.compute_score, "_hdpo", False) else ""


def _position_ids() -> str:
    from verl.utils import tensordict_utils

    return (
        "equally long rows with images" if getattr(tensordict_utils.maybe_fix_3d_position_ids, "_hdpo", False) else ""
    )


def _config_check() -> str:
    from verl.trainer import main_ppo

    return "in verl.trainer.main_ppo, before Ray starts" if getattr(main_ppo.validate_config, "_hdpo", False) else ""


def _check_of_other_launchers() -> str:
    from verl.trainer import main_ppo

    return "before verl's experimental trainers start Ray" if getattr(main_ppo.run_ppo, "_hdpo", False) else ""


REGISTERED: dict[str, Callable[[], Any]] = {
    "advantage estimator": _estimator,
    "trainers": _trainers,
    "classic trainer": _classic_trainer,
    "agent loop": _agent_loop,
    "reward manager": _reward_manager,
    "reward worker": _reward_worker,
    "position ids": _position_ids,
    "config check": _config_check,
    "check of other launchers": _check_of_other_launchers,
}
"""Part of the plugin -> how a user selects it, empty if verl does not have it; raises what verl raises."""


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
