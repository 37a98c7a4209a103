"""What a verl config must satisfy for HDPO, checked before any worker starts.

The trainer checks when it is made; the driver checks earlier, inside verl's ``validate_config``, before Ray starts.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator

import verl
from omegaconf import DictConfig, OmegaConf
from packaging.version import Version

from verl_hdpo.adapters.estimator import NAME
from verl_hdpo.config import HDPOConfig, HDPOConfigError
from verl_hdpo.loss_norm import HOMOGENEOUS_LOSSES

TRAINER_MODES = ("sync", "colocate_async", "separate_async")
AGENT_LOOP = "hdpo_tool_agent"
REWARD_MANAGER = "hdpo"
SIGNAL_KEY = "hdpo_signal"

logger = logging.getLogger(__name__)


def hdpo_settings(config: DictConfig) -> HDPOConfig | None:
    """The settings of a run that asks for HDPO or only to be observed; None for any other run.

    Raises:
        HDPOConfigError: an unknown setting or a bad value under ``algorithm.hdpo``.
    """
    group = config.algorithm.get("hdpo")
    settings = HDPOConfig.from_mapping(
        OmegaConf.to_container(group, resolve=True) if OmegaConf.is_config(group) else group
    )
    return settings if config.algorithm.adv_estimator == NAME or settings.observe else None


def check_run(config: DictConfig) -> None:
    """Refuse a run that HDPO cannot act in.

    Raises:
        HDPOConfigError: every problem found, each with what to do.
    """
    settings = hdpo_settings(config)
    if settings is None:
        if config.algorithm.get("hdpo"):
            logger.warning(
                "algorithm.hdpo is set, but algorithm.adv_estimator=%s makes no use of it; set adv_estimator=hdpo, or "
                "algorithm.hdpo.observe=true to log its metrics only",
                config.algorithm.adv_estimator,
            )
        return
    problems = list(_host_problems(config))
    if config.algorithm.adv_estimator == NAME:
        problems += _algorithm_problems(config, settings)
    if problems:
        raise HDPOConfigError("HDPO cannot run with this config:\n" + "\n".join(f"  - {p}" for p in problems))
    for warning in _ignored_settings(config, settings):
        logger.warning(warning)


def _host_problems(config: DictConfig) -> Iterator[str]:
    """Where HDPO has no place to act."""
    if not Version("0.9.0") <= Version(Version(verl.__version__).base_version) < Version("0.10"):
        yield f"verl {verl.__version__} is installed; verl-hdpo supports 0.9.x: pip install 'verl>=0.9.0,<0.10'"
    if importlib.util.find_spec("transfer_queue") is None:
        yield "TransferQueue, which verl's V1 trainer needs, is not installed: pip install 'TransferQueue>=0.1.10'"
    if not config.trainer.get("use_v1", False):
        yield "trainer.use_v1=false is verl's legacy trainer, which gives a plugin no access to tool calls; remove it"
    mode = config.trainer.get("v1", {}).get("trainer_mode")
    if mode not in TRAINER_MODES:
        yield f"trainer.v1.trainer_mode={mode} is not a trainer that HDPO knows; use one of {', '.join(TRAINER_MODES)}"
    reward_model = config.reward.reward_model
    if reward_model.enable and not reward_model.enable_resource_pool:
        yield (
            "a colocated reward model reports no outcome before advantages are computed; set "
            "reward.reward_model.enable_resource_pool=true"
        )
    if reward_model.enable and not config.reward.custom_reward_function.path:
        yield (
            "a reward model alone gives a score and no verdict on correctness; set "
            "reward.custom_reward_function.path to a function that asks it and returns 'score' and 'acc'"
        )


def _algorithm_problems(config: DictConfig, settings: HDPOConfig) -> Iterator[str]:
    """Combinations in which HDPO would silently be something else."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    if rollout.n < 2:
        yield f"actor_rollout_ref.rollout.n={rollout.n}: a rollout is compared with its prompt's others; use 2 or more"
    if config.critic.get("enable"):
        yield "critic.enable=true: HDPO has no critic; remove it"
    if (config.get("distillation") or {}).get("enabled", False):
        yield "distillation.enabled=true replaces the policy loss that HDPO extends; turn one of them off"
    loop, manager = rollout.agent.default_agent_loop, config.reward.reward_manager.name
    if manager == REWARD_MANAGER and loop == "tool_agent":
        yield (
            f"reward manager {manager} cannot tell the model's tokens from the tools' in agent loop {loop}; set "
            f"actor_rollout_ref.rollout.agent.default_agent_loop={AGENT_LOOP}"
        )
    loss_mode = actor.policy_loss.get("loss_mode", "vanilla")
    if settings.tool_loss_norm == "qualifying" and settings.combine == "loss":
        # Before 0.9.1 verl's gspo averages over sequences whatever loss_agg_mode says.
        exact = [x for x in HOMOGENEOUS_LOSSES if x != "gspo" or Version(verl.__version__) >= Version("0.9.1")]
        if loss_mode not in exact:
            yield (
                f"algorithm.hdpo.tool_loss_norm=qualifying is not exact for the policy loss {loss_mode} in verl "
                f"{verl.__version__}, but for {', '.join(HOMOGENEOUS_LOSSES)}; use tool_loss_norm=all"
            )
        if actor.get("shuffle", False):
            yield (
                "algorithm.hdpo.tool_loss_norm=qualifying counts tokens per mini-batch, which "
                "actor_rollout_ref.actor.shuffle=true makes up inside the workers; use tool_loss_norm=all"
            )
    filter_groups = config.algorithm.get("filter_groups")
    if filter_groups and filter_groups.get("enable") and filter_groups.get("metric") != SIGNAL_KEY:
        yield (
            f"algorithm.filter_groups.metric={filter_groups.get('metric')} drops all-correct groups, where the "
            f"efficiency channel has most to say; set it to {SIGNAL_KEY}, which reward.reward_manager.name="
            f"{REWARD_MANAGER} reports"
        )


def _ignored_settings(config: DictConfig, settings: HDPOConfig) -> Iterator[str]:
    """Settings that the chosen agent loop does not act on."""
    loop, default = config.actor_rollout_ref.rollout.agent.default_agent_loop, HDPOConfig()
    if loop == AGENT_LOOP:
        return
    for name in ("count_calls", "max_tool_calls", "tool_timeout"):
        if getattr(settings, name) != getattr(default, name):
            yield (
                f"algorithm.hdpo.{name} has no effect in agent loop {loop}, which keeps no ledger of calls; set "
                f"actor_rollout_ref.rollout.agent.default_agent_loop={AGENT_LOOP}"
            )
