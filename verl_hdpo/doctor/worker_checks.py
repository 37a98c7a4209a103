"""What verl's workers trip over minutes after the start: sizes that do not fit the GPUs, unset batches, odd names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from verl.trainer.ppo.core_algos import kl_penalty
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.workers.rollout.base import _ROLLOUT_REGISTRY

from verl_hdpo.adapters.hosts import SEPARATE_ASYNC, host_of
from verl_hdpo.adapters.problem import Problem
from verl_hdpo.runs.migration.values import VALUES
from verl_hdpo.runs.verl_keys import ROLLOUT

ACTOR, REF = "actor_rollout_ref.actor", "actor_rollout_ref.ref"
GPUS = "trainer.nnodes x trainer.n_gpus_per_node"
REPLICA = ("tensor_model_parallel_size", "data_parallel_size", "pipeline_model_parallel_size")
MEGATRON = ("tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size")
CONTENTS = ("model", "optimizer", "extra", "hf_model")
"""What a checkpoint can hold (verl/trainer/config/config.py); any other name is passed over."""


def worker_problems(config: DictConfig) -> Iterator[Problem]:
    """What ends the run."""
    yield from _replica(config)
    yield from _shares(config)
    yield from _batches(config)
    yield from _names(config)
    for key in (f"{ROLLOUT}.agent.num_workers", "reward.num_workers"):
        if (number := OmegaConf.select(config, key)) < 1:
            yield Problem(f"{key}={number}: verl makes no worker, and has nobody to hand a batch to", "set it to 8")


def worker_warnings(config: DictConfig) -> Iterator[Problem]:
    """What the run passes over in silence."""
    if (warmup := config.trainer.get("critic_warmup") or 0) > 0 and not need_critic(config):
        found = f"trainer.critic_warmup={warmup}: there is no critic, and the actor learns nothing for so many steps"
        yield Problem(found, "remove it")
    checkpoint = config.actor_rollout_ref.actor.checkpoint
    for name in ("save_contents", "load_contents"):
        if name == "load_contents" and checkpoint[name] == checkpoint.save_contents:
            continue  # as verl has it
        key = f"{ACTOR}.checkpoint.{name}"
        if unknown := [str(part) for part in checkpoint[name] or () if part not in CONTENTS]:
            yield Problem(f"{key} names {', '.join(unknown)}, which verl passes over", f"use {', '.join(CONTENTS)}")


def has_reference(config: DictConfig) -> bool:
    """Whether the reference is a model of its own; with LoRA it is the actor without its adapter."""
    model = config.actor_rollout_ref.model
    rank = (model.get("lora") or {}).get("rank", 0) or model.get("lora_rank", 0)
    return need_reference_policy(config) and rank <= 0 and model.get("lora_adapter_path") is None


def _gpus(config: DictConfig) -> int:
    return config.trainer.nnodes * config.trainer.n_gpus_per_node


def _replica(config: DictConfig) -> Iterator[Problem]:
    """``ActorRolloutRefWorker.init_model`` and ``RolloutReplica``; parts of a disaggregated replica count otherwise."""
    rollout = config.actor_rollout_ref.rollout
    if rollout.get("disaggregation", {}).get("enabled"):
        return
    sizes = [rollout.get(name) or 1 for name in REPLICA]
    size, shown = math.prod(sizes), _product(ROLLOUT, REPLICA, sizes)
    separate = host_of(config) is SEPARATE_ASYNC
    if (not separate or config.actor_rollout_ref.get("hybrid_engine", True)) and _gpus(config) % size:
        found = f"{shown}: a rollout engine of {size} GPUs, which do not divide the {_gpus(config)} of {GPUS}"
        yield Problem(found, "choose sizes that divide them")
    if separate and 0 < (own := rollout.nnodes * rollout.n_gpus_per_node) < size:
        found = f"{shown}: a rollout engine of {size} GPUs, and {ROLLOUT}.nnodes x {ROLLOUT}.n_gpus_per_node is {own}"
        yield Problem(found, "give it more GPUs, or lower its size")
    if (node := rollout.n_gpus_per_node) and size > node and size % node:
        found = f"{shown}: a rollout engine of {size} GPUs is not a whole number of nodes with {node} GPUs"
        yield Problem(found, "choose sizes that fill whole nodes")


class _Share(NamedTuple):
    """GPUs that hold one copy of a model, and the settings that say so."""

    size: int
    shown: str


def _share(config: DictConfig, role: str) -> _Share:
    group: Any = OmegaConf.select(config, role)
    if group.strategy == "megatron":
        sizes = [OmegaConf.select(group, f"megatron.{name}") or 1 for name in MEGATRON]
        return _Share(math.prod(sizes), _product(f"{role}.megatron", MEGATRON, sizes))
    if group.strategy == "veomni":
        size = OmegaConf.select(group, "veomni.ulysses_parallel_size") or 1
        return _Share(size, f"{role}.veomni.ulysses_parallel_size={size}")
    name = "ulysses_sequence_parallel_size"
    older, size = group.get(name) or 1, OmegaConf.select(group, f"fsdp_config.{name}") or 1
    return _Share(older, f"{role}.{name}={older}") if older > 1 else _Share(size, f"{role}.fsdp_config.{name}={size}")


def _shares(config: DictConfig) -> Iterator[Problem]:
    """Engines that cannot be laid over the GPUs, and mini-batches that cannot be shared out among them."""
    for role in (ACTOR, REF) if has_reference(config) else (ACTOR,):
        share = _share(config, role)
        if _gpus(config) % share.size:
            found = f"{share.shown}: {share.size} GPUs a copy, which do not divide the {_gpus(config)} of {GPUS}"
            yield Problem(found, "choose sizes that divide them")
        elif role == ACTOR:
            yield from _mini_batch(config, _gpus(config) // share.size)


def _mini_batch(config: DictConfig, copies: int) -> Iterator[Problem]:
    """``TrainingWorker.train_mini_batch`` and ``prepare_micro_batches`` (verl/workers)."""
    actor, n = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout.n
    mini, micro = actor.ppo_mini_batch_size * n, actor.get("ppo_micro_batch_size_per_gpu")
    shown = f"{ACTOR}.ppo_mini_batch_size={actor.ppo_mini_batch_size} x {ROLLOUT}.n={n}"
    if mini % copies:
        yield Problem(f"{shown} cannot be shared out evenly among {copies} copies of the model", "make it divisible")
    elif not actor.use_dynamic_bsz and micro and (mini // copies) % micro:
        found = f"{shown} is {mini // copies} rollouts a GPU, which {ACTOR}.ppo_micro_batch_size_per_gpu={micro} "
        yield Problem(f"{found}does not divide", "make it divisible, or set use_dynamic_bsz=true")


def _batches(config: DictConfig) -> Iterator[Problem]:
    """``ActorRolloutRefWorker.init_model`` asserts these, and says no word."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    if actor.use_dynamic_bsz != rollout.log_prob_use_dynamic_bsz:
        yield Problem(
            f"{ACTOR}.use_dynamic_bsz={actor.use_dynamic_bsz} and {ROLLOUT}.log_prob_use_dynamic_bsz="
            f"{rollout.log_prob_use_dynamic_bsz}: verl's workers want both alike",
            "set both alike; the second follows the first if it is left out",
        )
    if actor.use_dynamic_bsz:
        return
    keys = [f"{ACTOR}.ppo_micro_batch_size", f"{ROLLOUT}.log_prob_micro_batch_size"]
    keys += [f"{REF}.log_prob_micro_batch_size"] if has_reference(config) else []
    for key in keys:
        value, per_gpu = OmegaConf.select(config, key), OmegaConf.select(config, f"{key}_per_gpu")
        if value is not None and per_gpu is None:  # with neither of them, verl says so itself
            found = f"{key}={value}: verl's workers read {key.rpartition('.')[2]}_per_gpu alone, which is not set"
            yield Problem(found, f"set {key}_per_gpu, the share of one GPU, in its place")


def _names(config: DictConfig) -> Iterator[Problem]:
    """Names that verl, or its rollout engine, looks up late."""
    kl = {f"{ACTOR}.kl_loss_type": config.actor_rollout_ref.actor.use_kl_loss}
    kl["algorithm.kl_penalty"] = config.algorithm.get("use_kl_in_reward", False)
    for key, used in kl.items():
        if used and not _is_kl(name := str(OmegaConf.select(config, key))):
            yield Problem(
                f"{key}={name}: verl has no such estimate of the KL divergence", "use kl, abs, mse or low_var_kl"
            )
    rollout = config.actor_rollout_ref.rollout
    engine = None if OmegaConf.is_missing(rollout, "name") else rollout.name
    modes = [mode for name, mode in _ROLLOUT_REGISTRY if name == engine]
    if modes and rollout.mode not in (*modes, "sync"):  # sync verl refuses in its own words
        yield Problem(f"{ROLLOUT}.mode={rollout.mode}: verl has no such mode", f"use {', '.join(modes)}")
    key = f"{ROLLOUT}.load_format"
    if gone := VALUES[key].gone.get(str(rollout.get("load_format"))):
        yield Problem(f"{key}={rollout.load_format}: {engine} has no such format: {gone.why}", f"use {gone.now}")


def _is_kl(name: str) -> bool:
    try:
        kl_penalty(torch.zeros(1), torch.zeros(1), name)
    except NotImplementedError:
        return False
    return True


def _product(group: str, names: tuple[str, ...], sizes: list[int]) -> str:
    """``group.a=2 x group.b=4`` without what is 1."""
    return " x ".join(f"{group}.{name}={size}" for name, size in zip(names, sizes, strict=True) if size != 1)
