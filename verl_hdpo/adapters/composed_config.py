"""``compose``: the config that ``python -m verl.trainer.main_ppo`` would run with."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import hydra
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

_verl = find_spec("verl")  # to import it takes seconds
assert _verl is not None and _verl.origin is not None, "verl-hdpo depends on verl"
STOCK_CONFIG = Path(_verl.origin).parent / "trainer" / "config"


def compose(config_name: str, config_path: str | None, config_dir: str | None, overrides: list[str]) -> DictConfig:
    """Compose the config as hydra does for verl's launcher; ``config_path`` is absolute."""
    # What hydra.main does; its public initialize_config_dir() takes no --config-dir.
    search_path = create_config_search_path(str(config_path or STOCK_CONFIG))
    if config_dir:
        search_path.prepend("command-line", f"file://{Path(config_dir).resolve()}", anchor="schema")
    Hydra.create_main_hydra2("main_ppo", search_path)
    try:
        return hydra.compose(config_name.removesuffix(".yaml"), overrides)
    finally:
        GlobalHydra.instance().clear()
