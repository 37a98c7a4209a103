"""Commands that train with another trainer than ``verl.trainer.main_ppo``, and the settings that do the same there."""

from __future__ import annotations

from typing import NamedTuple

LAUNCHER = "verl.trainer.main_ppo"
SEPARATE = "trainer.v1.trainer_mode=separate_async"


class Launcher(NamedTuple):
    """Another launcher.

    Attributes:
        why: why ``main_ppo`` takes its place.
        settings: overrides that make ``main_ppo`` do what it does.
    """

    why: str
    settings: tuple[str, ...]


_ASYNC = Launcher(
    "an experimental trainer that verl replaces by its V1 trainer, in mode separate_async",
    (SEPARATE, "actor_rollout_ref.rollout.checkpoint_engine.backend=nccl"),
)
_DAPO = Launcher("V1 filters groups itself, as DAPO does", ("algorithm.filter_groups.enable=true",))

LAUNCHERS: dict[str, Launcher] = {
    "verl.experimental.fully_async_policy": _ASYNC,
    "verl.experimental.one_step_off_policy": _ASYNC,
    "recipe.fully_async_policy": _ASYNC,
    "recipe.one_step_off_policy": _ASYNC,
    "recipe.dapo": _DAPO,
    "verl.trainer.main_ppo_sync": Launcher("it became the V1 trainer, in its default mode sync", ()),
    "recipe.transfer_queue.main_ppo": Launcher("it became the V1 trainer", ()),
}
"""By the beginning of the module's name."""

CONFIGS = {
    "fully_async_ppo_trainer": "ppo_trainer",
    "fully_async_ppo_megatron_trainer": "ppo_megatron_trainer",
    "one_step_off_ppo_trainer": "ppo_trainer",
    "one_step_off_ppo_megatron_trainer": "ppo_megatron_trainer",
    "dapo_trainer": "ppo_trainer",
    "dapo_megatron_trainer": "ppo_megatron_trainer",
}
"""Their configs -> the one of ``main_ppo``."""


def launcher_of(module: str) -> Launcher | None:
    """What is known of a launcher; None of ``main_ppo`` itself, and of one that ``main_ppo`` cannot stand in for."""
    return next((known for name, known in LAUNCHERS.items() if module == name or module.startswith(f"{name}.")), None)
