"""What ``import verl`` loads, in every process: registration, and nothing else.

verl imports this module through the entry-point group ``verl.plugins``, from inside its own ``__init__``; importing
trainer modules there would be slow and circular. Each part is therefore registered right after verl imports the
module it belongs to.

A part that cannot be registered is logged at ERROR and raises where verl imports that module: verl's plugin loader
swallows exceptions, and a run that names HDPO must not go on as something else.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from wrapt import register_post_import_hook

logger = logging.getLogger(__name__)

Part = Callable[[ModuleType], None]
PARTS: dict[str, tuple[str, Part]] = {}
"""Name of each part -> (verl's module, the registration to run once that module is imported)."""


def part(name: str, after: str) -> Callable[[Part], Part]:
    """Declare a part of the plugin, registered after the verl module ``after`` is imported."""

    def declare(register: Part) -> Part:
        PARTS[name] = after, register
        return register

    return declare


@part("advantage estimator", after="verl.trainer.ppo.core_algos")
def _estimator(_: ModuleType) -> None:
    importlib.import_module("verl_hdpo.adapters.estimator")


@part("trainers", after="verl.trainer.ppo.v1")
def _trainers(_: ModuleType) -> None:
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

    from verl_hdpo.adapters.names import TRAINER_MODES
    from verl_hdpo.adapters.trainer import hdpo_trainer

    # register_trainer refuses a name twice, and the mode's name also picks the replay buffer and its settings:
    # the entry itself is what can be extended (verl/trainer/ppo/v1/trainer_base.py, TRAINER_REGISTRY).
    for mode in TRAINER_MODES:
        TRAINER_REGISTRY[mode] = hdpo_trainer(TRAINER_REGISTRY[mode])


@part("classic trainer", after="verl.trainer.main_ppo_v0")
def _classic_trainer(module: ModuleType) -> None:
    """verl has no registry for it: main_ppo_v0 takes the class by its name, ``fit`` the function by its own."""
    from verl.trainer.ppo import ray_trainer

    from verl_hdpo.adapters.classic_trainer import ClassicTrainer, through_host

    vars(module)["RayPPOTrainer"] = ClassicTrainer
    if not getattr(ray_trainer.compute_advantage, "_hdpo", False):
        vars(ray_trainer)["compute_advantage"] = through_host(ray_trainer.compute_advantage)


@part("agent loop", after="verl.experimental.agent_loop")
def _agent_loop(_: ModuleType) -> None:
    importlib.import_module("verl_hdpo.adapters.agent_loop")


@part("reward manager", after="verl.experimental.reward_loop.reward_manager")
def _reward_manager(_: ModuleType) -> None:
    importlib.import_module("verl_hdpo.adapters.reward_manager")


@part("reward worker", after="verl.experimental.reward_loop.reward_loop")
def _reward_worker(module: ModuleType) -> None:
    """verl asks a reward model for a score, and never the reward manager, unless there is a reward function."""
    worker: Any = module.RewardLoopWorker
    stock = worker.compute_score
    if getattr(stock, "_hdpo", False):
        return

    @functools.wraps(stock)
    async def compute_score(self: Any, data: Any) -> Any:
        from verl_hdpo.adapters.reward_manager import HDPORewardManager

        if isinstance(self.reward_manager, HDPORewardManager):
            return await self.reward_manager.run_single(data)
        return await stock(self, data)

    vars(compute_score)["_hdpo"] = True
    worker.compute_score = compute_score


@part("position ids", after="verl.utils.tensordict_utils")
def _position_ids(module: ModuleType) -> None:
    """Put right before verl's workers take the name: verl/workers/engine/base.py and engine_workers.py import it."""
    stock = module.maybe_fix_3d_position_ids
    if getattr(stock, "_hdpo", False):
        return

    @functools.wraps(stock)
    def maybe_fix_3d_position_ids(data: Any) -> None:
        from verl_hdpo.adapters.position_ids import repack_equal_rows

        repack_equal_rows(data)
        stock(data)

    vars(maybe_fix_3d_position_ids)["_hdpo"] = True
    vars(module)["maybe_fix_3d_position_ids"] = maybe_fix_3d_position_ids


@part("config check", after="verl.utils.config")
def _config_check(module: ModuleType) -> None:
    """Check in the driver, before Ray starts: verl/trainer/main_ppo.py calls ``validate_config`` first of all."""
    stock = module.validate_config
    if getattr(stock, "_hdpo", False):
        return

    @functools.wraps(stock)
    def validate_config(config: Any, *args: Any, **kwargs: Any) -> None:
        stock(config, *args, **kwargs)
        from verl_hdpo.adapters.check import check_run

        check_run(config)

    vars(validate_config)["_hdpo"] = True
    vars(module)["validate_config"] = validate_config


@part("check of other launchers", after="verl.trainer.main_ppo")
def _check_of_other_launchers(module: ModuleType) -> None:
    """verl's experimental trainers validate no config in their driver; they import ``run_ppo``, which starts Ray."""
    stock = module.run_ppo
    if getattr(stock, "_hdpo", False):
        return

    @functools.wraps(stock)
    def run_ppo(config: Any, *args: Any, **kwargs: Any) -> None:
        from verl_hdpo.adapters.check import check_run

        check_run(config)
        stock(config, *args, **kwargs)

    vars(run_ppo)["_hdpo"] = True
    vars(module)["run_ppo"] = run_ppo


def _loudly(name: str, register: Part) -> Part:
    @functools.wraps(register)
    def hook(module: ModuleType) -> None:
        try:
            register(module)
        except Exception:
            logger.exception(
                "verl-hdpo could not register its %s after %s was imported; `verl-hdpo doctor` shows which versions "
                "it supports. VERL_USE_EXTERNAL_PLUGINS=none runs verl without it.",
                name,
                module.__name__,
            )
            raise

    return hook


for _name, (_after, _register) in PARTS.items():
    register_post_import_hook(_loudly(_name, _register), _after)
