"""Values of another kind than verl's config has in their place: verl would stumble over them somewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_hdpo.adapters.unknown_keys import OverrideProblem
from verl_hdpo.runs.override import key_of

TAKE_TEXT = ("algorithm.rollout_correction.rollout_is_threshold",)
"""Settings whose default is a number and that verl reads as text too: ``0.5_4.0`` (trainer/config/algorithm.py)."""

COUNTS = (
    "actor_rollout_ref.rollout.n",
    "actor_rollout_ref.actor.ppo_mini_batch_size",
    "data.train_batch_size",
    "data.max_prompt_length",
    "data.max_response_length",
    "trainer.nnodes",
    "trainer.n_gpus_per_node",
)
"""Settings that verl counts and divides by, without a look at them."""

GROUPS = (
    "algorithm",
    "critic",
    "data",
    "reward",
    "reward.custom_reward_function",
    "reward.reward_manager",
    "reward.reward_model",
    "trainer",
    "actor_rollout_ref",
    *(f"actor_rollout_ref.{name}" for name in ("actor", "actor.policy_loss", "actor.checkpoint", "ref", "model")),
    *(f"actor_rollout_ref.rollout{name}" for name in ("", ".agent", ".multi_turn", ".val_kwargs")),
)
"""Groups that verl reads without asking whether they are there."""

OPTIONAL_GROUPS = ("algorithm.filter_groups", "algorithm.rollout_correction", "data.custom_cls")
"""Groups that may be null."""

READ = ("algorithm.adv_estimator", "data.train_files", "data.val_files", "trainer.logger", "trainer.total_epochs")
"""Settings that verl reads in the same way."""

SHOWN = 3
"""Settings of a group that are named as examples."""


def missing(config: DictConfig, overrides: Sequence[str]) -> Iterator[OverrideProblem]:
    """What verl reads and the config lacks: taken out by ``~``, set to null, or not in a config of the owner's own."""
    gone: list[str] = []
    for key in (*GROUPS, *READ, *COUNTS):
        above, _, name = key.rpartition(".")
        group = _at(config, above) if above else config
        is_null = key in GROUPS and isinstance(group, DictConfig) and name in group and _at(config, key) is None
        if any(key.startswith(f"{other}.") for other in gone) or not isinstance(group, DictConfig):
            continue
        if name in group and not is_null:
            continue
        gone.append(key)
        override = next((one for one in overrides if key_of(one) == key), "")
        found = f"{override or key}: verl reads {key}, and the config has {'null there' if is_null else 'none'}"
        advice = "leave it out" if override else "begin your config with defaults: [ppo_trainer, _self_]"
        yield OverrideProblem(override, found, advice)


def wrong_types(config: DictConfig, before: DictConfig, overrides: Sequence[str]) -> Iterator[OverrideProblem]:
    """Overrides whose value is of another kind, and counts that are none.

    Args:
        config: with the overrides.
        before: without them.
    """
    given = {key_of(override): override for override in overrides if not override.startswith("~")}
    for key in COUNTS:
        value = _at(config, key)
        is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if _has(config, key) and not is_count:
            found = f"{_shown(key, value)}: verl wants a whole number of 1 or more there"
            yield OverrideProblem(given.get(key, ""), found, _number_advice(key, value, given.get(key, "")))
    for key in (*GROUPS, *OPTIONAL_GROUPS):  # in a config of the owner's own
        if key not in given and (value := _at(config, key)) is not None and not isinstance(value, DictConfig):
            yield _no_group(key, value, "", (_names(before, key) or ["enable"])[:1])
    for key, override in given.items():
        default, value = _at(before, key), _at(config, key)
        if key in COUNTS or value is None:
            continue
        if isinstance(default, DictConfig) and len(default) and not isinstance(value, DictConfig):
            yield _no_group(key, value, override, _names(before, key)[:SHOWN])
        elif isinstance(default, int | float) and not isinstance(value, int | float):
            if isinstance(value, str) and key in TAKE_TEXT:
                continue
            flag = isinstance(default, bool)
            found = f"{_shown(key, value)}: verl wants {'true or false' if flag else 'a number'} there"
            yield OverrideProblem(
                override, found, f"write {key}=true or {key}=false" if flag else _number_advice(key, value, override)
            )


def _no_group(key: str, value: Any, override: str, names: Sequence[str]) -> OverrideProblem:
    examples = ", ".join(f"{key}.{name}" for name in names)
    found = f"{_shown(key, value)}: verl has a group of settings there"
    return OverrideProblem(override, found, f"set one of the group, such as {examples}")


def _names(before: DictConfig, key: str) -> list[str]:
    """Settings of a group; none where it is no group."""
    group = _at(before, key)
    return [name for name in map(str, group) if not name.startswith("_")] if isinstance(group, DictConfig) else []


def _at(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key, throw_on_resolution_failure=False)
    except OmegaConfBaseException:  # something above it is no group
        return None


def _has(config: DictConfig, key: str) -> bool:
    """Whether a key is there, with a value that can be told."""
    above, _, name = key.rpartition(".")
    group = _at(config, above)
    if not isinstance(group, DictConfig) or name not in group or OmegaConf.is_missing(group, name):
        return False
    return not (OmegaConf.is_interpolation(group, name) and _at(config, key) is None)


def _shown(key: str, value: Any) -> str:
    """``key=value``, text in quotes: ``8`` in quotes is no number."""
    return f"{key}={'null' if value is None else repr(value) if isinstance(value, str) else value}"


def _number_advice(key: str, value: Any, override: str) -> str:
    if "oc.env" in override:
        return "${oc.env:...} is text; let the shell fill the variable in"
    if isinstance(value, str) and _is_number(value):
        return f"write {key}={value}, without quotes"
    if isinstance(value, float) and value >= 1 and value.is_integer():
        return f"write {key}={value:.0f}"
    return f"write a number, such as {key}=8" if key in COUNTS else f"write a number: {key}=..."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
