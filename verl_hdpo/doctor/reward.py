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
from verl_hdpo.adapters.run_settings import HDPO, RunSettings
from verl_hdpo.adapters.user_code import find_modules_here, in_words
from verl_hdpo.doctor.answers import FORMS, right_text, wrong_text
from verl_hdpo.doctor.data import Rows
from verl_hdpo.doctor.files import missing_code
from verl_hdpo.doctor.ground_truths import incomparable
from verl_hdpo.doctor.progress import doing
from verl_hdpo.doctor.sections import REWARD
from verl_hdpo.doctor.trial import SIGNATURE, Tried, try_answer
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.fingerprint import fingerprint

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
    for source, row in list(samples.items())[:MOST_SOURCES]:
        yield from _try(config, run, loops, source, row)
    if left := list(samples)[MOST_SOURCES:]:
        yield Finding(REWARD, "warn", "reward", f"not tried for {', '.join(left)}: a few sources stand for all")


def _loaded(config: DictConfig) -> Iterator[Finding]:
    manager, function = config.reward.reward_manager.name, config.reward.custom_reward_function
    try:
        with redirect_stdout(StringIO()):
            resolve_reward_manager_cls(config)
        yield Finding(REWARD, "ok", "reward manager", manager)
    except Exception as error:  # whatever the owner's file raises
        advice = f"for example reward.reward_manager.name={REWARD_MANAGER}"
        yield Finding(REWARD, "FAIL", "reward manager", in_words(error), (advice,))
    if not function.path:
        return
    try:
        with redirect_stdout(StringIO()):
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


_KNOWN: dict[str, list[Finding]] = {}


def _try(
    config: DictConfig, run: RunSettings | None, loops: Sequence[str], source: str, row: Mapping[str, Any]
) -> list[Finding]:
    """Once for all runs of a comparison that have the same reward."""
    code = fingerprint(str(config.reward.custom_reward_function.path))
    kept = {name: OmegaConf.to_container(config[name]) for name in ("reward", "actor_rollout_ref")}
    groups = {name: config.algorithm.get(name) for name in (HDPO, "filter_groups")}
    key = json.dumps([code, kept, str(groups), run is None, loops, source, str(row)], default=str)
    if key not in _KNOWN:
        doing(f"trying the reward on a row of {source}")
        _KNOWN[key] = list(_findings(config, run, loops, source, row))
    return _KNOWN[key]


def _findings(
    config: DictConfig, run: RunSettings | None, loops: Sequence[str], source: str, row: Mapping[str, Any]
) -> Iterator[Finding]:
    right, form, tried = right_text(row["reward_model"]["ground_truth"]), FORMS[0], []
    for form in FORMS if right else ():
        tried.append(try_answer(config, run, loops, row, form.format(right)))
        if tried[-1].wrong or run is None or tried[-1].correct:
            break
    others = [
        try_answer(config, run, loops, row, form.format(wrong_text(right))),
        try_answer(config, run, loops, row, ""),
    ]
    wrong, empty = others
    subject = f"{source!r}"
    mistakes: dict[tuple[str, str], list[str]] = {}
    for answer in (*tried, *others):
        if answer.wrong:
            mistakes.setdefault(answer.wrong, []).append(repr(answer.answer)[:60])
    for (found, advice), answers in mistakes.items():
        yield Finding(REWARD, "FAIL", "reward", f"{subject}, answer {', '.join(answers)}: {found}", (advice,))
    if mistakes:
        return
    names = {f"answer {answer.answer!r:.60}": answer for answer in (*tried[-1:], wrong)} | {"empty answer": empty}
    shown = f"{subject}: " + "; ".join(f"{name}: {answer.told()}" for name, answer in names.items())
    if run is None:
        yield Finding(REWARD, "ok", "reward", shown)
        return
    yield from _judged(run, subject, shown, tried, wrong, empty)
    yield from _filter_metric(config, subject, [*tried, *others])


def _judged(
    run: RunSettings, subject: str, shown: str, tried: list[Tried], wrong: Tried, empty: Tried
) -> Iterator[Finding]:
    """What the trainer will learn from these outcomes."""
    everything = [*tried, wrong, empty]
    why = "".join(f"\n{text}" for text in dict.fromkeys(text for answer in everything for text in answer.warnings))
    if not any(answer.known for answer in everything):
        advice = "an unknown outcome leaves the loss: with none that is known nothing is learned"
        yield Finding(REWARD, "FAIL", "reward", f"{shown}{why}", (advice, SIGNATURE))
    elif tried and all(answer.correct for answer in (tried[-1], wrong, empty)):
        advice = f"{run.hdpo.correct_key} must be 0 for a wrong answer"
        yield Finding(REWARD, "FAIL", "reward", f"{shown}: every answer counts as correct", (advice,))
    elif wrong.correct or empty.correct:
        advice = f"{run.hdpo.correct_key} must be 0 for a wrong answer, and for none"
        yield Finding(REWARD, "warn", "reward", shown, (advice,))
    elif not empty.known:
        advice = (
            "let it return 0, and not raise, where the model wrote nothing of use: it could learn to leave the loss"
        )
        yield Finding(REWARD, "warn", "reward", f"{shown}{why}", (advice,))
    elif tried and not tried[-1].correct:
        forms = ", ".join(repr(answer.answer) for answer in tried)
        advice = "if a right answer has another form, all is well; else no answer will ever be correct"
        yield Finding(
            REWARD, "warn", "reward", f"{subject}: wrong in every form that was tried: {forms:.300}", (advice,)
        )
    elif not tried:
        yield Finding(REWARD, "ok", "reward", f"{shown} (no right answer was tried: the ground truth is not a text)")
    else:
        yield Finding(REWARD, "ok", "reward", shown)


def _filter_metric(config: DictConfig, subject: str, tried: list[Tried]) -> Iterator[Finding]:
    filter_groups = config.algorithm.get("filter_groups") or {}
    metric = filter_groups.get("metric")
    if not filter_groups.get("enable") or metric == "reward":
        return
    if lacking := [answer for answer in tried if metric not in (answer.info or {})]:
        keys = ", ".join(sorted(lacking[0].info or {}))
        found = f"{subject}: algorithm.filter_groups.metric={metric} is not in reward_extra_info, only {keys}"
        advice = f"return {metric!r} from your reward function, or set reward.reward_manager.name={REWARD_MANAGER}"
        yield Finding(REWARD, "FAIL", "reward", found, (advice,))
