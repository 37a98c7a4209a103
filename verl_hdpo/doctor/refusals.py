"""What verl itself raises of a config: its own validation, and the config classes that its workers make at start."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue
from verl.trainer import main_ppo
from verl.utils.config import omega_conf_to_dataclass

from verl_hdpo.adapters.user_code import in_words
from verl_hdpo.doctor.files import model_problem
from verl_hdpo.doctor.sections import RUN
from verl_hdpo.doctor.worker_checks import has_reference
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.verl_keys import ROLLOUT

NO_VLLM = "vllm version None"
"""In what verl raises where vLLM is missing (verl/third_party/vllm/__init__.py)."""

MICRO_BATCH = "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu"
CRITIC = "critic.model.path"
CHANGE = "verl refuses this config: change what it names"
SUBJECT = "verl's checks"

_REFUSED = re.compile(
    r"Error in call to target '(?P<target>[^']+)':\n\w+\(['\"]?(?P<reason>.*?)['\"]?,?\)(\nfull_key: (?P<key>\S+))?",
    re.DOTALL,
)


def refusals(config: DictConfig, critic: bool) -> Iterator[Finding]:
    """Each once: several config classes may refuse the same.

    Args:
        critic: whether a critic's settings count; else they are left alone.
    """
    with_critic = critic and main_ppo.need_critic(config)
    if with_critic and (problem := model_problem(str(config.critic.model.path))):
        with_critic = False  # verl would take a folder that is not there for a name on the hub
        advice = f"set {CRITIC} to the critic's model, or choose an estimator without a critic"
        yield Finding(RUN, "FAIL", SUBJECT, f"{CRITIC}={problem.found}", (advice,))
    told = set()
    for group, step in (("", lambda: _validate(config, with_critic)), *_made_by_workers(config)):
        try:
            with redirect_stdout(StringIO()):
                step()
        except Exception as error:
            if (finding := _told(config, group, error)) and finding not in told:
                told.add(finding)
                yield finding


def _validate(config: DictConfig, critic: bool) -> None:
    """The first steps of verl/trainer/main_ppo.py's ``main``, without this package's part of ``validate_config``."""
    main_ppo.auto_set_device(config)
    inspect.unwrap(main_ppo.validate_config)(
        config=config, use_reference_policy=main_ppo.need_reference_policy(config), use_critic=critic
    )


def _made_by_workers(config: DictConfig) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The groups of which verl makes a config class later; a model's loads its files, and is left out."""
    if not OmegaConf.is_missing(config.actor_rollout_ref.rollout, "name"):  # which is told among the engines
        yield ROLLOUT, lambda: omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    if has_reference(config):
        yield "actor_rollout_ref.ref", lambda: omega_conf_to_dataclass(_reference(config))
    if config.reward.reward_model.enable:
        yield "reward.reward_model.rollout", lambda: omega_conf_to_dataclass(config.reward.reward_model.rollout)
    if (config.get("distillation") or {}).get("enabled"):
        yield "distillation", lambda: omega_conf_to_dataclass(config.distillation)


def _reference(config: DictConfig) -> DictConfig:
    """As ``ActorRolloutRefWorker.init_model`` renames it (verl/workers/engine_workers.py), its batches left alone."""
    ref = copy.deepcopy(config).actor_rollout_ref.ref
    with open_dict(ref):
        ref.ppo_mini_batch_size = config.actor_rollout_ref.actor.ppo_mini_batch_size
        for name in ("micro_batch_size", "micro_batch_size_per_gpu", "max_token_len_per_gpu", "use_dynamic_bsz"):
            ref.pop(f"log_prob_{name}", None)
        ref.use_dynamic_bsz = True
    return ref


def _told(config: DictConfig, group: str, error: Exception) -> Finding | None:
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key or str(error).rpartition(" ")[2]
        if key == f"{ROLLOUT}.name":
            return None  # told among the engines
        return Finding(RUN, "FAIL", SUBJECT, f"{key} is not set, and verl has no default for it", ("set it",))
    if isinstance(error, TypeError) and not group:
        unset = config.actor_rollout_ref.actor.strategy == "megatron" and OmegaConf.select(config, MICRO_BATCH) is None
        told = f"{MICRO_BATCH} is not set, and verl counts with it on Megatron" if unset else in_words(error)
        return Finding(RUN, "FAIL", SUBJECT, told, (f"set {MICRO_BATCH}" if unset else CHANGE,))
    if NO_VLLM in str(error):
        found = "verl looks into vLLM for the LoRA rank, and no package vllm is installed on this machine"
        return Finding(RUN, "FAIL", SUBJECT, found, ("install vLLM here too: verl refuses to start without it",))
    return Finding(RUN, "FAIL", SUBJECT, _plainly(error, group), (CHANGE,))


def _plainly(error: Exception, group: str) -> str:
    """What verl raised; where one of its config classes refused its group of settings, that group and the reason."""
    refused = _REFUSED.fullmatch(str(error)) if isinstance(error, InstantiationException) else None
    if refused is None:
        return in_words(error)
    reason = refused["reason"] or f"{refused['target']} refuses a value, and does not say which"
    return ": ".join(filter(None, (refused["key"] or group, reason)))
