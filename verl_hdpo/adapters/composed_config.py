"""``compose``: the config that ``python -m verl.trainer.main_ppo`` would run with."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from verl_hdpo.runs.override import key_of

_verl = find_spec("verl")  # to import it takes seconds
assert _verl is not None and _verl.origin is not None, "verl-hdpo depends on verl"
STOCK_CONFIG = Path(_verl.origin).parent / "trainer" / "config"


def compose(config_name: str, config_path: str | None, config_dir: str | None, overrides: Sequence[str]) -> DictConfig:
    """Compose the config as hydra does for verl's launcher; ``config_path`` is absolute.

    Most of the time goes into reading the files: that is done once for all overrides with the same :func:`choices`.
    """
    chosen = choices(overrides, config_path, config_dir)
    config = copy.deepcopy(unchanged(config_name, config_path, config_dir, chosen))
    others = [override for override in overrides if override not in chosen]
    ConfigLoaderImpl._apply_overrides_to_config([parsed(override) for override in others], config)
    return config


@functools.cache
def parsed(override: str) -> Override:
    """What hydra reads in an override.

    Raises:
        HydraException: it is none.
    """
    return OverridesParser.create().parse_override(override)


@functools.cache
def unchanged(
    config_name: str, config_path: str | None, config_dir: str | None, chosen: tuple[str, ...] = ()
) -> DictConfig:
    """The config before any override but those that choose an option of a group."""
    # What hydra.main does; its public initialize_config_dir() takes no --config-dir.
    search_path = create_config_search_path(str(config_path or STOCK_CONFIG))
    if config_dir:
        search_path.prepend("command-line", f"file://{Path(config_dir).resolve()}", anchor="schema")
    Hydra.create_main_hydra2("main_ppo", search_path)
    try:
        return hydra.compose(config_name.removesuffix(".yaml"), [*chosen])
    finally:
        GlobalHydra.instance().clear()


def choices(overrides: Sequence[str], config_path: str | None, config_dir: str | None) -> tuple[str, ...]:
    """The overrides that decide which files are read: a group's option, and hydra's own settings."""
    folders = [Path(folder) for folder in (config_path, config_dir, STOCK_CONFIG) if folder]

    def chooses(override: str) -> bool:
        key = key_of(override)
        group = key.partition("@")[0]
        hydras_own = re.split("[./]", key)[0] == "hydra"
        return "@" in key or hydras_own or any((folder / group).is_dir() for folder in folders)

    return tuple(override for override in overrides if chooses(override))
