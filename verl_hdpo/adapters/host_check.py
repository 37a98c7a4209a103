"""Where verl gives an estimator of this package no place to act: another release or trainer, a reward too late."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from omegaconf import DictConfig

from verl_hdpo.adapters.algorithm_check import filters_groups
from verl_hdpo.adapters.hosts import CLASSIC, FULLY_ASYNC, ONE_STEP_OFF, SEPARATE_ASYNC, V1_MODE, Host, host_of
from verl_hdpo.adapters.names import REWARD_MANAGER, TRAINER_MODES
from verl_hdpo.adapters.problem import Problem
from verl_hdpo.adapters.run_settings import reward_settings
from verl_hdpo.adapters.version_check import version_problems
from verl_hdpo.runs.verl_keys import ROLLOUT
from verl_hdpo.settings.judge import JudgeSettings


def host_problems(config: DictConfig) -> Iterator[Problem]:
    """What is wrong with verl, its trainer, or its reward model."""
    host = host_of(config)
    yield from version_problems(host)
    if host is None:
        found = f"{V1_MODE}={config.trainer.get('v1', {}).get('trainer_mode')} is not a trainer that HDPO knows"
        yield Problem(found, f"use one of {', '.join(TRAINER_MODES)}")
    elif not host.supported:
        yield Problem(f"{host.name}, one of verl's experimental trainers, is not supported: {host.note}", host.advice)
    if host not in (CLASSIC, ONE_STEP_OFF, FULLY_ASYNC) and importlib.util.find_spec("transfer_queue") is None:
        found = "TransferQueue, which verl's V1 trainer needs, is not installed"
        yield Problem(found, "pip install 'TransferQueue>=0.1.10'")
    if host is SEPARATE_ASYNC:
        yield from _separate_async_problems(config)
    yield from _colocated_problems(config, host)
    yield from _judge_problems(config)


def _separate_async_problems(config: DictConfig) -> Iterator[Problem]:
    """All that verl asserts in ``PPOTrainerSeparateAsync`` (trainer/ppo/v1/trainer_separate_async.py)."""
    rollout, batch = config.actor_rollout_ref.rollout, config.data.train_batch_size
    steps, mini = (
        config.trainer.v1.separate_async.parameter_sync_step,
        config.actor_rollout_ref.actor.ppo_mini_batch_size,
    )
    if batch != steps * mini:
        yield Problem(
            f"data.train_batch_size={batch}, and trainer_mode=separate_async needs "
            f"trainer.v1.separate_async.parameter_sync_step={steps} times "
            f"actor_rollout_ref.actor.ppo_mini_batch_size={mini}, which is {steps * mini}",
            "make them fit",
        )
    if empty := [name for name in ("nnodes", "n_gpus_per_node") if not rollout.get(name)]:
        yield Problem(
            f"trainer_mode=separate_async generates on GPUs of its own, and there are none: "
            f"{', '.join(f'{ROLLOUT}.{name}={rollout.get(name)}' for name in empty)}",
            f"set {ROLLOUT}.nnodes and {ROLLOUT}.n_gpus_per_node",
        )
    if rollout.checkpoint_engine.backend == "naive":
        yield Problem(
            f"{ROLLOUT}.checkpoint_engine.backend=naive cannot bring weights to GPUs that only generate",
            "set it to nccl (hccl on NPUs, or nixl, mooncake)",
        )


def _colocated_problems(config: DictConfig, host: Host | None) -> Iterator[Problem]:
    """Where a reward model on the actor's GPUs, which is asked batch by batch, comes too late or is not heard."""
    model = config.reward.reward_model
    if not model.enable or model.enable_resource_pool:
        return
    pool = "set reward.reward_model.enable_resource_pool=true"
    if host is CLASSIC:
        yield Problem(
            f"{CLASSIC.chosen_by}: verl's classic trainer shows a colocated reward model neither tool calls nor ground "
            f"truths",
            f"remove it, or {pool}",
        )
        return
    if config.reward.reward_manager.name != REWARD_MANAGER:
        yield Problem(
            f"of a colocated reward model, reward.reward_manager.name={config.reward.reward_manager.name} reports no "
            f"outcome before advantages are computed",
            f"set it to {REWARD_MANAGER}, or {pool}",
        )
    if filters_groups(config):
        yield Problem(
            "algorithm.filter_groups.enable=true picks groups before a colocated reward model has judged them",
            f"turn the filter off, or {pool}",
        )


def judge_of(config: DictConfig) -> JudgeSettings | None:
    """The judge that the ``hdpo`` reward manager asks, if any.

    Raises:
        SettingsError: an unknown setting or a bad value under ``reward.reward_kwargs``.
    """
    if config.reward.reward_manager.name != REWARD_MANAGER:
        return None
    judge = reward_settings(config).judge
    return None if judge is None or judge.when == "never" else judge


def _judge_problems(config: DictConfig) -> Iterator[Problem]:
    """Where a reward model, or a judge, would decide nothing."""
    model, custom = config.reward.reward_model, config.reward.custom_reward_function.path
    judge = judge_of(config)
    if judge is None:
        if model.enable and not custom:
            yield Problem(
                "a reward model alone gives a score and no verdict on correctness",
                f"make it the judge with reward.reward_manager.name={REWARD_MANAGER} "
                f"+reward.reward_kwargs.judge=when_undecided, or set reward.custom_reward_function.path to a function "
                f"that asks it and returns 'score' and 'acc'",
            )
        return
    served = not judge.endpoints
    if custom:
        yield Problem(
            "reward.reward_kwargs.judge and reward.custom_reward_function.path are both set, and the function takes "
            "the judge's place",
            "remove one of them",
        )
    if served and not model.enable:
        yield Problem(
            "reward.reward_kwargs.judge has nobody to ask",
            "set its endpoints and model, or let verl serve the judge with reward.reward_model.enable=true",
        )
    if served and model.enable_resource_pool and model.rollout.free_cache_engine:
        # verl wakes a reward model only where it is colocated (reward_loop.py, compute_rm_score).
        yield Problem(
            "reward.reward_model.rollout.free_cache_engine=true puts the judge to sleep, and verl wakes a reward model "
            "with GPUs of its own never",
            "set it to false",
        )
