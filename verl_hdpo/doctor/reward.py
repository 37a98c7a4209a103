"""The reward of a run: manager and function, tried on real rows with a right, a wrong and an empty answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from omegaconf import DictConfig, OmegaConf
from verl.trainer.ppo.reward import get_custom_reward_fn, resolve_reward_manager_cls

from verl_hdpo.adapters.host_check import judge_of
from verl_hdpo.adapters.names import REWARD_MANAGER
from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.adapters.user_code import ending_is_an_error, find_modules_here, in_words
from verl_hdpo.doctor.data import Rows
from verl_hdpo.doctor.files import missing_code
from verl_hdpo.doctor.ground_truths import incomparable
from verl_hdpo.doctor.progress import doing
from verl_hdpo.doctor.reward_verdict import Verdict, verdicts
from verl_hdpo.doctor.sections import REWARD
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.fingerprint import fingerprint
from verl_hdpo.settings.outcomes import OutcomeSettings

MOST_SOURCES = 6
"""Data sources whose first row is tried: a judge may cost money."""


def check_reward(
    config: DictConfig, run: RunSettings | None, loops: Sequence[str], data: Mapping[str, Rows]
) -> Iterator[Finding]:
    """That manager and function can be loaded, and what they return for the first row of each data source.

    Args:
        loops: the agent loops that the run uses.
        data: what the rows say.
    """
    find_modules_here()
    doing("loading the reward")
    loaded = list(_loaded(config))
    yield from loaded
    if any(finding.mark == "FAIL" for finding in loaded):
        return
    if config.reward.reward_model.enable:
        yield Finding(REWARD, "warn", "reward", "not tried: it asks a reward model, which only a run starts")
        return
    by_rules = judged_by_rules(config)
    samples = {
        source: row
        for rows in data.values()
        for source, row in rows.samples.items()
        if _has_ground_truth(row) and not (by_rules and incomparable(row["reward_model"]["ground_truth"]))
    }
    alike: dict[Verdict, list[str]] = {}
    for source, row in list(samples.items())[:MOST_SOURCES]:
        for verdict in _verdicts(config, run, loops, source, row):
            alike.setdefault(verdict, []).append(source)
    for verdict, sources in alike.items():
        of = ", ".join(map(repr, sources))
        yield Finding(REWARD, verdict.mark, "reward", f"{of}: {verdict.found}{verdict.example}", verdict.advice)
    if left := list(samples)[MOST_SOURCES:]:
        yield Finding(REWARD, "warn", "reward", f"not tried for {', '.join(left)}: a few sources stand for all")


def _loaded(config: DictConfig) -> Iterator[Finding]:
    manager, function = config.reward.reward_manager.name, config.reward.custom_reward_function
    try:
        with redirect_stdout(StringIO()), ending_is_an_error():
            resolve_reward_manager_cls(config)
        yield Finding(REWARD, "ok", "reward manager", manager)
    except Exception as error:  # whatever the owner's file raises
        advice = f"for example reward.reward_manager.name={REWARD_MANAGER}"
        yield Finding(REWARD, "FAIL", "reward manager", in_words(error), (advice,))
    if not function.path:
        return
    try:
        with redirect_stdout(StringIO()), ending_is_an_error():
            get_custom_reward_fn(config)
        yield Finding(REWARD, "ok", "reward function", f"{function.path}: {function.name}")
    except FileNotFoundError:
        yield missing_code("reward.custom_reward_function.path", function.path)
    except Exception as error:  # whatever the owner's file raises
        found = f"{function.path}: {in_words(error)}"
        advice = f"the file must exist, import, and define {function.name}"
        yield Finding(REWARD, "FAIL", "reward function", found, (advice,))


def judged_by_rules(config: DictConfig) -> bool:
    """Whether answers are compared with the ground truth by the ``hdpo`` reward manager alone."""
    own = config.reward.reward_manager.name == REWARD_MANAGER and not config.reward.custom_reward_function.path
    return own and judge_of(config) is None


def _has_ground_truth(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("reward_model"), Mapping) and "ground_truth" in row["reward_model"]


_KNOWN: dict[str, list[Verdict]] = {}


def _verdicts(
    config: DictConfig, run: RunSettings | None, loops: Sequence[str], source: str, row: Mapping[str, Any]
) -> list[Verdict]:
    """Once for all runs of a comparison that have the same reward."""
    code = fingerprint(str(config.reward.custom_reward_function.path))
    kept = {name: OmegaConf.to_container(config[name]) for name in ("reward", "actor_rollout_ref")}
    read = run and {name: getattr(run.hdpo, name) for name in OutcomeSettings.model_fields}
    key = json.dumps([code, kept, read, str(config.algorithm.get("filter_groups")), loops, str(row)], default=str)
    if key not in _KNOWN:
        doing(f"trying the reward on a row of {source}")
        _KNOWN[key] = list(verdicts(config, run, loops, row))
    return _KNOWN[key]
