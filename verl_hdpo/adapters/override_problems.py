"""Every override that does not fit verl's config, told at once, with what was probably meant."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_hdpo.adapters.composed_config import compose
from verl_hdpo.adapters.removed_keys import removed

_QUOTED = re.compile(r"Could not .*?'([^']+)'")


class OverrideProblem(NamedTuple):
    """Why an override has no place in the config.

    Attributes:
        override: as it was given; empty where the fault lies elsewhere.
        found: what is wrong.
        advice: what to do.
        meant: an override to go on with in its place; empty to go on without, None where there is no going on.
    """

    override: str
    found: str
    advice: str
    meant: str | None = None


def compose_telling_all(
    config_name: str, config_path: str | None, config_dir: str | None, overrides: Sequence[str]
) -> tuple[DictConfig | None, list[OverrideProblem]]:
    """The config, and every override that does not fit; None where nothing can be composed.

    An override with a misspelt key is taken for the one that was probably meant, so that its mistake is told once and
    the rest of the config can be looked at.
    """
    left, problems = list(overrides), list(_unreadable(overrides))
    if problems:
        return None, problems
    where = config_name, config_path, config_dir
    while True:
        try:
            config = compose(*where, left)
        except Exception as error:  # hydra lets a ValueError of its own through now and then
            problem = _problem(error, left, where)
            problems.append(problem)
            if problem.meant is None:
                return None, problems
            at = left.index(problem.override)
            left[at : at + 1] = [problem.meant] if problem.meant else []
        else:
            # What follows from a value that is no value cannot be told from other mistakes.
            faults = [*_wrong_types(config, left, where), *_unresolved(config, left)]
            return None if faults else config, problems + faults


def _unreadable(overrides: Sequence[str]) -> Iterator[OverrideProblem]:
    parser = OverridesParser.create()
    for override in overrides:
        try:
            parser.parse_override(override)
        except HydraException as error:
            text = " ".join(str(error).partition("\nSee https")[0].split())
            yield OverrideProblem(
                override,
                f"{override}: {text}",
                "write key=value, and quote a value with special characters: 'key=\"a b\"'",
            )


def _problem(error: Exception, overrides: Sequence[str], where: tuple[str, str | None, str | None]) -> OverrideProblem:
    quoted = _QUOTED.search(str(error))
    named = quoted[1] if quoted else ""
    override = next((o for o in overrides if named and named in (_key(o), _choice(o))), None)
    text = str(error).partition("\nConfig search path")[0].strip()
    if override is None:
        return OverrideProblem("", text, "check the config's name and the overrides")
    key, value = _key(override), override.partition("=")[2]
    if override.startswith("~"):
        return OverrideProblem(override, f"{override}: there is no {key} to remove", "leave it out", "")
    if override.startswith("+"):
        advice = f"write {key}={value}"
        return OverrideProblem(override, f"{override}: the config has {key} already", advice, f"++{key}={value}")
    if "is not in struct" in str(error.__cause__):
        return _unknown(override, key, value, list(_keys(_stock(*where))))
    return OverrideProblem(override, f"{override}: {text}", "use one of those, or a config of your own")


def _unknown(override: str, key: str, value: str, known: Sequence[str]) -> OverrideProblem:
    release = metadata.version("verl")
    instead = removed(key)
    if instead is not None:
        advice = f"its purpose is now served by {instead}" if instead else "delete it"
        return OverrideProblem(override, f"{key}: verl {release} no longer has this setting", advice, "")
    found = f"{key}: verl {release} has no such setting"
    if close := _alike(key, known):
        return OverrideProblem(override, found, f"did you mean {close}?", f"{close}={value}")
    return OverrideProblem(override, found, f"remove it; +{key}={value} adds it for code of your own that reads it", "")


def _alike(key: str, known: Sequence[str]) -> str | None:
    """The key that was probably meant: one of the same group, or the only one of this name elsewhere."""
    group, _, name = key.rpartition(".")
    siblings = {other.rpartition(".")[2]: other for other in known if other.rpartition(".")[0] == group}
    if close := difflib.get_close_matches(name, siblings, n=1, cutoff=0.75):
        return siblings[close[0]]
    same_name = [other for other in known if other.rpartition(".")[2] == name]
    if len(same_name) == 1:
        return same_name[0]
    return next(iter(difflib.get_close_matches(key, same_name, n=1, cutoff=0.8)), None)


def _wrong_types(
    config: DictConfig, overrides: Sequence[str], where: tuple[str, str | None, str | None]
) -> Iterator[OverrideProblem]:
    """Text where verl's default is a number or a flag: verl would stumble over it somewhere."""
    stock = _stock(*where)
    for override in overrides:
        key, default = _key(override), OmegaConf.select(stock, _key(override), throw_on_resolution_failure=False)
        value = OmegaConf.select(config, key, throw_on_resolution_failure=False)
        if isinstance(default, int | float) and isinstance(value, str):
            wanted = "true or false" if isinstance(default, bool) else "a number"
            found = f"{key}={value}: {wanted} is wanted there, as verl's default, {default}"
            yield OverrideProblem(override, found, f"write {key}={default}, or another such value")


def _unresolved(config: DictConfig, overrides: Sequence[str]) -> Iterator[OverrideProblem]:
    """Values that refer to nothing, each told once: others may refer to it in turn."""
    given = {_key(override) for override in overrides}
    found: dict[str, str] = {}
    for key in _keys(config):
        try:
            OmegaConf.select(config, key)
        except OmegaConfBaseException as error:
            told = str(error).splitlines()[0]
            found[told] = key if key in given else found.get(told, key)
    for told, key in found.items():
        yield OverrideProblem("", f"{key}: {told}", "set what it refers to, or give it a value of its own")


@functools.cache
def _stock(config_name: str, config_path: str | None, config_dir: str | None) -> DictConfig:
    return compose(config_name, config_path, config_dir, [])


def _keys(config: DictConfig, above: str = "") -> Iterator[str]:
    for name in map(str, config):
        yield f"{above}{name}"
        child = None if OmegaConf.is_missing(config, name) else config._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_interpolation():
            yield from _keys(child, f"{above}{name}.")


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _choice(override: str) -> str:
    """``group/option`` of an override that chooses a config for a group."""
    key, _, value = override.lstrip("+~").partition("=")
    return f"{key.partition('@')[0]}/{value}"
