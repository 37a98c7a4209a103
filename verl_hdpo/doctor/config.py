"""A run's config: composed as verl composes it, and this package's settings in it. verl is not imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from verl_hdpo.adapters.names import REWARD_MANAGER
from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.adapters.run_settings import group_settings, reward_settings
from verl_hdpo.doctor.files import Lookup, missing_files
from verl_hdpo.doctor.sections import CONFIG
from verl_hdpo.runs.finding import Finding
from verl_hdpo.settings.algorithms import ALGORITHMS
from verl_hdpo.settings.group import SettingsError

LEGACY_REWARDS = {
    "custom_reward_function.path": "reward.custom_reward_function.path",
    "reward_model.reward_manager": "reward.reward_manager.name",
    "reward_model.enable": "reward.reward_model.enable",
    "reward_model.model.path": "reward.reward_model.model_path",
    "reward_model.reward_kwargs": "reward.reward_kwargs",
    "sandbox_fusion.url": "reward.sandbox_fusion.url",
}
"""Settings in their old places, which verl 0.9 still accepts and main_ppo no longer reads -> their new places."""


def composed(
    config_name: str, config_path: str | None, config_dir: str | None, overrides: Sequence[str]
) -> tuple[DictConfig | None, list[Finding]]:
    """The config with what is wrong with it; None where it cannot be composed."""
    config, problems = compose_telling_all(config_name, config_path, config_dir, overrides)
    found = [Finding(CONFIG, "FAIL", "config", problem.found, (problem.advice,)) for problem in problems]
    if config is None:
        return None, found
    if not found:
        found.append(Finding(CONFIG, "ok", "config", f"{config_name}, {len(overrides)} overrides"))
    return config, [*found, *_settings(config), *_legacy_rewards(config), *missing_files(lookup_in(config))]


def lookup_in(config: DictConfig) -> Lookup:
    """The values of a composed config by key, in plain containers; None where there is none."""

    def get(key: str) -> Any:
        value = OmegaConf.select(config, key)
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value

    return get


def _settings(config: DictConfig) -> Iterator[Finding]:
    """Unknown keys and bad values of this package's settings, all of them; such a group is then left out."""
    for name in ALGORITHMS:
        if config.algorithm.get(name) is not None:
            yield from _told_of(partial(group_settings, config, name), config.algorithm, name)
    if config.reward.reward_manager.name == REWARD_MANAGER and config.reward.get("reward_kwargs") is not None:
        yield from _told_of(partial(reward_settings, config), config.reward, "reward_kwargs")


def _told_of(read: Callable[[], Any], above: DictConfig, name: str) -> Iterator[Finding]:
    try:
        read()
    except SettingsError as error:
        for line in str(error).splitlines():
            found, _, advice = line.partition("; ")
            yield Finding(CONFIG, "FAIL", "settings", found, (advice,) if advice else ())
        with open_dict(above):
            del above[name]


def _legacy_rewards(config: DictConfig) -> Iterator[Finding]:
    for old, new in LEGACY_REWARDS.items():
        if value := OmegaConf.select(config, old):
            found = f"{old}={value}: verl.trainer.main_ppo does not read this legacy setting"
            yield Finding(CONFIG, "FAIL", "config", found, (f"use {new}",))
