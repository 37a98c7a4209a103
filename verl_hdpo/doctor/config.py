"""A run's config: composed as verl composes it, and this package's settings in it. verl is not imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from verl_hdpo.adapters.composed_config import unchanged
from verl_hdpo.adapters.names import REWARD_MANAGER
from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.adapters.run_settings import group_settings, reward_settings
from verl_hdpo.adapters.unknown_keys import OverrideProblem, keys_of
from verl_hdpo.doctor.files import Lookup, missing_files
from verl_hdpo.doctor.sections import CONFIG
from verl_hdpo.runs.did_you_mean import closest
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.migration.keys import UNREAD, change_of
from verl_hdpo.runs.override import key_of
from verl_hdpo.settings.algorithms import ALGORITHMS
from verl_hdpo.settings.group import SettingsError

STOCK_CONFIGS = ("ppo_trainer", "ppo_megatron_trainer")


def composed(
    config_name: str, config_path: str | None, config_dir: str | None, overrides: Sequence[str]
) -> tuple[DictConfig | None, list[Finding]]:
    """The config with what is wrong with it; None where it cannot be composed."""
    config, problems = compose_telling_all(config_name, config_path, config_dir, overrides)
    found = [Finding(CONFIG, "FAIL", "config", text, (advice,)) for text, advice in _alike(problems)]
    if config is None:
        return None, found
    if not found:
        found.append(Finding(CONFIG, "ok", "config", f"{config_name}, {len(overrides)} overrides"))
    return config, [
        *found,
        *_settings(config),
        *_unread(config),
        *_old_keys(config, config_name, overrides),
        *_misspelt_groups(overrides),
        *missing_files(lookup_in(config)),
    ]


def _alike(problems: Sequence[OverrideProblem]) -> Iterator[tuple[str, str]]:
    """What is wrong and what to do; keys of which the same is to be said are told together."""
    keys: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        key, colon, why = problem.found.partition(": ")
        keys.setdefault((f"{colon}{why}", problem.advice), []).append(key)
    yield from ((f"{', '.join(several)}{why}", advice) for (why, advice), several in keys.items())


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


def _unread(config: DictConfig) -> Iterator[Finding]:
    """Settings that verl accepts and nothing reads."""
    for old in UNREAD:
        value = OmegaConf.select(config, old)
        group = isinstance(value, DictConfig)
        values = {f"{old}.{key}": value[key] for key in map(str, value)} if group else {old: value}
        for key, given in values.items():
            if given is not None and (change := change_of(key, UNREAD)):
                yield Finding(CONFIG, "FAIL", "config", f"{key}={given}: {change.why}", (change.advice,))


def _misspelt_groups(overrides: Sequence[str]) -> Iterator[Finding]:
    """Groups of this package's that are added under another name: hydra takes them, nothing reads them."""
    known = {*ALGORITHMS, *unchanged("ppo_trainer", None, None).algorithm}
    for key in (key_of(override) for override in overrides if override.startswith("+")):
        above, _, name = ".".join(key.split(".")[:2]).rpartition(".")
        if above == "algorithm" and name not in known and (close := closest(name, ALGORITHMS, 0.7)):
            found = f"{key}: nothing of verl or verl-hdpo reads it"
            yield Finding(CONFIG, "warn", "config", found, (f"did you mean {close}?",))


def _old_keys(config: DictConfig, config_name: str, overrides: Sequence[str]) -> Iterator[Finding]:
    """Keys of another verl in a config of the owner's own, or added by ``+``: hydra takes them, nothing reads them."""
    given = {key_of(override) for override in overrides if override.startswith("+")}
    if config_name.removesuffix(".yaml") not in STOCK_CONFIGS:
        given |= set(keys_of(config)) - {key for name in STOCK_CONFIGS for key in keys_of(unchanged(name, None, None))}
    for key in sorted(given):
        value, change = OmegaConf.select(config, key, throw_on_resolution_failure=False), change_of(key)
        if change and not isinstance(value, DictConfig) and not change_of(key, UNREAD):  # which is told already
            yield Finding(
                CONFIG, "warn", "config", f"{key}={value}: verl does not read it: {change.why}", (change.advice,)
            )
