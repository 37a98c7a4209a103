"""Every override that does not fit verl's config, told at once, with what was probably meant."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from verl_hdpo.adapters.composed_config import choices, compose, parsed, unchanged
from verl_hdpo.adapters.unknown_keys import OverrideProblem, UnknownKeys, nodes_of
from verl_hdpo.adapters.value_types import missing, wrong_types
from verl_hdpo.runs.override import key_and_value, key_of

Where: TypeAlias = tuple[str, str | None, str | None]
"""The name of a config, ``--config-path`` and ``--config-dir``."""

_QUOTED = re.compile(r"Could not .*?'([^']+)'")


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
        tried = [*left]
        try:
            config = compose(*where, left)
        except Exception as error:  # hydra lets a ValueError of its own through now and then
            told = _unknown(left, where) if "is not in struct" in str(error.__cause__) else []
            told = told or [_problem(error, left, config_path)]
            problems += told
            if any(problem.meant is None for problem in told):
                return None, problems
            for problem in told:
                at = left.index(problem.override)
                left[at : at + 1] = [problem.meant] if problem.meant else []
            left += {problem.beside for problem in told} - {"", *left}
            if left == tried:
                return None, problems
        else:
            # What follows from a value that is no value cannot be told from other mistakes.
            faults = [*missing(config, left), *wrong_types(config, unchanged(*where), left)]
            faults += _unresolved(config, left)
            return None if faults else config, problems + faults


def _unreadable(overrides: Sequence[str]) -> Iterator[OverrideProblem]:
    for override in overrides:
        try:
            parsed(override)
        except HydraException as error:
            text = " ".join(str(error).partition("\nSee https")[0].split())
            advice = "write key=value, and quote a value with special characters: 'key=\"a b\"'"
            if key_and_value(override)[1].startswith("~"):
                advice = "write $HOME in place of ~: the shell fills in that one alone within a word"
            yield OverrideProblem(override, f"{override}: {text}", advice)


def _unknown(overrides: Sequence[str], where: Where) -> list[OverrideProblem]:
    """Every override whose key the config does not have."""
    chosen = choices(overrides, *where[1:])
    before = unchanged(*where, chosen)
    config = copy.deepcopy(before)
    OmegaConf.set_struct(config, True)
    keys = UnknownKeys(before, lambda engine: _of_engine(engine, where))
    found = []
    for override in overrides:
        given = parsed(override)
        if override in chosen or given.is_delete():
            continue
        adds = given.is_add() or given.is_force_add()
        try:
            OmegaConf.update(config, given.key_or_group, given.value(), merge=True, force_add=adds)
        except (ConfigAttributeError, ConfigKeyError):
            found.append(keys.told(override))
        except Exception:  # its value is wrong, which hydra says in turn
            continue
    return found


def _problem(error: Exception, overrides: Sequence[str], config_path: str | None) -> OverrideProblem:
    if "Primary config directory not found" in str(error):
        advice = (
            "name the folder of your config; hydra takes a relative one from the folder of verl/trainer/main_ppo.py"
        )
        return OverrideProblem("", f"--config-path={config_path}: there is no such folder", advice)
    quoted = _QUOTED.search(str(error))
    named = quoted[1] if quoted else ""
    # The last that hydra may mean: of two that add a key it refuses the second.
    meant = [o for o in overrides if named and not o.startswith("++") and named in (key_of(o), _choice(o))]
    override = meant[-1] if meant else None
    text = str(error).partition("\nConfig search path")[0].strip()
    if override is None:
        return OverrideProblem("", *_of_a_file(error, text))
    key, value = key_and_value(override)
    if override.startswith("~"):
        return OverrideProblem(override, f"{override}: there is no {key} to remove", "leave it out", "")
    if override.startswith("+"):
        has = "it is added twice" if len(meant) > 1 else f"the config has {key} already"
        advice = "keep one of them" if len(meant) > 1 else f"write {key}={value}"
        return OverrideProblem(override, f"{override}: {has}", advice, f"++{key}={value}")
    return OverrideProblem(override, f"{override}: {text}", "use one of those, or a config of your own")


def _of_a_file(error: Exception, text: str) -> tuple[str, str]:
    """What is wrong with a config of the owner's own, and what to do."""
    if isinstance(error, UnicodeDecodeError):
        byte = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        return f"a config of yours, or one that it begins with, is not UTF-8 text: {byte}", "save it as UTF-8"
    if isinstance(error, YAMLError):
        return " ".join(text.split()), "mend that file: it is not valid YAML"
    if "Could not load 'ppo_" in text:
        return text, "let your config find verl's: hydra: {searchpath: [pkg://verl.trainer.config]}"
    return text, "check the config's name and the overrides"


def _unresolved(config: DictConfig, overrides: Sequence[str]) -> Iterator[OverrideProblem]:
    """Values that refer to nothing, each told once: others may refer to it in turn."""
    given = {key_of(override) for override in overrides}
    found: dict[str, str] = {}
    for key, node in nodes_of(config):
        if not node._is_interpolation():
            continue
        try:
            OmegaConf.select(config, key)
        except OmegaConfBaseException as error:
            told = str(error).splitlines()[0]
            found[told] = key if key in given else found.get(told, key)
    for told, key in found.items():
        yield OverrideProblem("", f"{key}: {told}", "set what it refers to, or give it a value of its own")


def _of_engine(engine: str, where: Where) -> DictConfig | None:
    """The config for another ``model_engine``; None where it leaves no choice of one."""
    try:
        return unchanged(*where, (f"model_engine={engine}",))
    except Exception:  # a config of the owner's own may have no such group
        return None


def _choice(override: str) -> str:
    """``group/option`` of an override that chooses a config for a group."""
    key, value = key_and_value(override)
    return f"{key.partition('@')[0]}/{value}"
