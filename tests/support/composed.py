"""verl's own config with overrides, without the second or so that hydra takes to compose one."""

from __future__ import annotations

import copy
import functools

from omegaconf import DictConfig, OmegaConf

from verl_hdpo.adapters.composed_config import compose

FOR_SEPARATE_ASYNC = (
    "data.train_batch_size=32",
    "actor_rollout_ref.actor.ppo_mini_batch_size=8",
    "trainer.v1.separate_async.parameter_sync_step=4",
    "actor_rollout_ref.rollout.nnodes=1",
    "actor_rollout_ref.rollout.n_gpus_per_node=1",
    "actor_rollout_ref.rollout.checkpoint_engine.backend=nccl",
)
"""What verl's separate_async demands."""

_stock = functools.cache(lambda name: compose(name, None, None, []))


def composed(*overrides: str, name: str = "ppo_trainer") -> DictConfig:
    """What hydra makes of overrides that it accepts; others are not refused, and a group cannot be exchanged."""
    config = copy.deepcopy(_stock(name))
    OmegaConf.set_struct(config, False)
    config.merge_with_dotlist([override.lstrip("+") for override in overrides])
    return config


def without_hydra(config_name: str, config_path: None, config_dir: None, overrides: list[str]) -> DictConfig:
    """In place of ``verl_hdpo.adapters.composed_config.compose`` where composing is not what is tested."""
    return composed(*overrides, name=config_name)
