"""Keys that verl's config does not have: renamed by verl, another engine's, misspelt, or of no verl at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

from omegaconf import DictConfig, Node, OmegaConf

from verl_hdpo.runs.did_you_mean import closest
from verl_hdpo.runs.migration.keys import change_of
from verl_hdpo.runs.override import key_and_value
from verl_hdpo.settings.algorithms import ALGORITHMS

ENGINES = ("megatron", "veomni", "torchtitan")
"""Options of verl's ``model_engine`` beside ``dp``, which is FSDP's."""


OWN_GROUPS = (*(f"algorithm.{name}" for name in ALGORITHMS), "reward.reward_kwargs")
"""Groups of this package's settings, which verl's config does not list."""


class OverrideProblem(NamedTuple):
    """Why an override has no place in the config.

    Attributes:
        override: as it was given; empty where the fault lies elsewhere.
        found: what is wrong.
        advice: what to do.
        meant: an override to go on with in its place; empty to go on without, None where there is no going on.
        beside: an override to go on with as well; empty for none.
    """

    override: str
    found: str
    advice: str
    meant: str | None = None
    beside: str = ""


class UnknownKeys:
    """Says of a key that ``stock``, the config before any override, does not have what to do about it.

    Args:
        stock: as verl composes it.
        other_engine: composes the same config for another ``model_engine``.
    """

    def __init__(self, stock: DictConfig, other_engine: Callable[[str], DictConfig | None]):
        self._stock, self._known, self._other_engine = stock, list(keys_of(stock)), other_engine

    def told(self, override: str) -> OverrideProblem:
        """What to say of ``key=value``."""
        key, value = key_and_value(override)
        release = f"verl {metadata.version('verl')}"
        if change := change_of(key):
            meant = f"{change.moved}={value}" if change.moved else ""
            return OverrideProblem(override, f"{key}: not in {release}: {change.why}", change.advice, meant)
        if engine := self._engine_with(key):
            found = f"{key}: {release} has this setting for its {engine} engine only"
            choice = f"model_engine={engine}"
            return OverrideProblem(
                override, found, f"set {choice}, or --config-name=ppo_{engine}_trainer", override, choice
            )
        if self._is_open(key):
            return OverrideProblem(
                override,
                f"{key}: verl's config does not list this setting, and passes it on",
                f"write +{override}",
                f"+{override}",
            )
        found = f"{key}: {release} has no such setting"
        if close := self._alike(key):
            return OverrideProblem(override, found, f"did you mean {close}?", f"{close}={value}")
        advice = f"remove it; +{key}={value} adds it for code of your own that reads it"
        return OverrideProblem(override, found, advice, "")

    def _engine_with(self, key: str) -> str | None:
        named = [engine for engine in ENGINES if engine in key.split(".")]
        return next((name for name in named if (other := self._other_engine(name)) and key in keys_of(other)), None)

    def _is_open(self, key: str) -> bool:
        """Whether the key stands in a group of ours, or in one that verl leaves empty for whatever an engine takes."""
        if any(f"{key}.".startswith(f"{group}.") for group in OWN_GROUPS):
            return True
        group = OmegaConf.select(self._stock, key.rpartition(".")[0], throw_on_resolution_failure=False)
        return isinstance(group, DictConfig) and not group

    def _alike(self, key: str) -> str | None:
        """The setting that was probably meant: one of the same group, or of the same name if there is no such group."""
        group, _, name = key.rpartition(".")
        beside = (other for other in self._known if other.rpartition(".")[0] == group)
        siblings = {other.rpartition(".")[2]: other for other in beside if self._is_setting(other)}
        if close := closest(name, siblings, 0.75):
            return siblings[close]
        if group in self._known:
            return None
        same_name = [other for other in self._known if other.rpartition(".")[2] == name and self._is_setting(other)]
        if len(same_name) == 1:
            return same_name[0]
        return closest(key, same_name, 0.8)

    def _is_setting(self, key: str) -> bool:
        return not isinstance(OmegaConf.select(self._stock, key, throw_on_resolution_failure=False), DictConfig)


def keys_of(config: DictConfig) -> Iterator[str]:
    """Every key of a config, groups too, with dots."""
    return (key for key, _ in nodes_of(config))


def nodes_of(config: DictConfig, above: str = "") -> Iterator[tuple[str, Node]]:
    """Every key of a config, with what is there; nothing is resolved."""
    for name in map(str, config):
        child = config._get_node(name)
        assert isinstance(child, Node)
        yield f"{above}{name}", child
        if isinstance(child, DictConfig) and not (child._is_none() or child._is_missing() or child._is_interpolation()):
            yield from nodes_of(child, f"{above}{name}.")
