"""Combinations in which an estimator of this package would silently be something else."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig

from verl_hdpo.adapters.hosts import CLASSIC, host_of
from verl_hdpo.adapters.names import (
    CORRECT_KEY,
    KNOWN_KEY,
    REWARD_MANAGER,
    SIGNAL_KEY,
    STOCK_REWARD_MANAGERS,
    STOCK_TOOLS,
)
from verl_hdpo.adapters.problem import AgentLoops, Problem
from verl_hdpo.adapters.run_settings import HDPO, RunSettings
from verl_hdpo.algorithm.qualifying import HOMOGENEOUS_LOSSES
from verl_hdpo.runs.verl_keys import ROLLOUT
from verl_hdpo.settings.algorithms import AlgorithmSettings, HDPOSettings, IKEASettings

FORMATS_WITHOUT_OPENING = ("gpt-oss",)
"""verl's tool formats whose parser names no text that a call begins with."""


def algorithm_problems(config: DictConfig, run: RunSettings, loops: AgentLoops) -> Iterator[Problem]:
    """What the estimator chosen cannot act with; nothing for a run that is only observed."""
    if run.algorithm is not None:
        yield from _of_all(config, run.hdpo, loops)
        yield from _of_hdpo(config, run.hdpo) if run.name == HDPO else _of_rival(config, run.algorithm)


def filters_groups(config: DictConfig) -> bool:
    """Whether groups without a signal are dropped: the classic trainer ignores the setting."""
    return host_of(config) is not CLASSIC and bool((config.algorithm.get("filter_groups") or {}).get("enable"))


def _of_all(config: DictConfig, settings: HDPOSettings, loops: AgentLoops) -> Iterator[Problem]:
    name, n = config.algorithm.adv_estimator, config.actor_rollout_ref.rollout.n
    if n < 2:
        yield Problem(f"{ROLLOUT}.n={n}: a rollout is compared with its prompt's others", "use 2 or more")
    if config.critic.get("enable"):
        yield Problem(f"critic.enable=true: {name} has no critic", "remove it")
    if (config.get("distillation") or {}).get("enabled", False):
        found = f"distillation.enabled=true replaces the policy loss that {name} acts through"
        yield Problem(found, "turn one of them off")
    manager, own = config.reward.reward_manager.name, (settings.correct_key, settings.known_key)
    if manager == REWARD_MANAGER and STOCK_TOOLS in loops.names:
        found = f"reward manager {manager} cannot tell the model's tokens from the tools' in agent loop {STOCK_TOOLS}"
        yield Problem(found, loops.advice, STOCK_TOOLS)
    if manager == REWARD_MANAGER and own != (CORRECT_KEY, KNOWN_KEY):
        yield Problem(
            f"reward manager {manager} reports outcomes under {CORRECT_KEY} and {KNOWN_KEY}, and algorithm.hdpo looks "
            f"under {' and '.join(own)}",
            "remove correct_key and known_key",
        )
    for loop in loops.without_ledger if name == HDPO and settings.tool_tokens == "decision" else ():
        found = f"algorithm.hdpo.tool_tokens=decision: agent loop {loop} does not tell which tokens decide about a call"
        yield Problem(found, loops.advice, loop)
    for loop in loops.without_ledger if settings.tool_costs else ():
        found = f"algorithm.hdpo.tool_costs: agent loop {loop} does not tell which tools were called"
        yield Problem(found, loops.advice, loop)


def _of_hdpo(config: DictConfig, settings: HDPOSettings) -> Iterator[Problem]:
    actor = config.actor_rollout_ref.actor
    loss_mode = actor.policy_loss.get("loss_mode", "vanilla")
    if settings.tool_loss_norm == "qualifying":
        if settings.combine == "advantage":
            yield Problem(
                "algorithm.hdpo.tool_loss_norm=qualifying is a denominator of the efficiency loss, and with "
                "combine=advantage there is but one loss",
                "use combine=loss or tool_loss_norm=all",
            )
        if loss_mode not in HOMOGENEOUS_LOSSES:
            yield Problem(
                f"algorithm.hdpo.tool_loss_norm=qualifying is not exact for the policy loss {loss_mode}, "
                f"but for {', '.join(HOMOGENEOUS_LOSSES)}",
                "use tool_loss_norm=all",
            )
        if actor.get("shuffle", False):
            yield Problem(
                "algorithm.hdpo.tool_loss_norm=qualifying counts tokens per mini-batch, which "
                "actor_rollout_ref.actor.shuffle=true makes up inside the workers",
                "use tool_loss_norm=all",
            )
    if settings.tool_tokens == "decision":
        yield from _of_decisions(config, settings, loss_mode)
    if not filters_groups(config):
        return
    reward, filter_groups = config.reward, config.algorithm.filter_groups
    if reward.reward_manager.name in STOCK_REWARD_MANAGERS and not reward.custom_reward_function.path:
        yield Problem(
            f"algorithm.filter_groups needs {SIGNAL_KEY} in reward_extra_info, which reward manager "
            f"{reward.reward_manager.name} does not report",
            f"set reward.reward_manager.name={REWARD_MANAGER}",
        )
    if filter_groups.get("metric") != SIGNAL_KEY:
        yield Problem(
            f"algorithm.filter_groups.metric={filter_groups.get('metric')} drops all-correct groups, where the "
            f"efficiency channel has most to say",
            f"set it to {SIGNAL_KEY}, which reward.reward_manager.name={REWARD_MANAGER} reports",
        )


def _of_decisions(config: DictConfig, settings: HDPOSettings, loss_mode: str) -> Iterator[Problem]:
    where = "algorithm.hdpo.tool_tokens=decision"
    if settings.combine == "advantage":
        yield Problem(
            f"{where} is about the tokens of the efficiency loss, and with combine=advantage there is but one loss",
            "use combine=loss or tool_tokens=all",
        )
    if loss_mode not in HOMOGENEOUS_LOSSES:
        yield Problem(
            f"{where}: under the policy loss {loss_mode} a token without an advantage has a loss all the same",
            f"use one of {', '.join(HOMOGENEOUS_LOSSES)}, or tool_tokens=all",
        )
    tool_format = config.actor_rollout_ref.rollout.multi_turn.format
    if tool_format in FORMATS_WITHOUT_OPENING:
        yield Problem(f"{where}: in the format {tool_format} no text opens a call", "use tool_tokens=all")


def _of_rival(config: DictConfig, settings: AlgorithmSettings) -> Iterator[Problem]:
    name = config.algorithm.adv_estimator
    if config.algorithm.use_kl_in_reward and not settings.uses_reward:
        yield Problem(
            f"algorithm.use_kl_in_reward=true: {name} makes a reward of its own from the outcomes, and the KL penalty "
            f"would be lost",
            "use actor_rollout_ref.actor.use_kl_loss=true instead",
        )
    punishes_format = isinstance(settings, IKEASettings) and settings.format_reward is not None
    told = config.reward.custom_reward_function.path or config.reward.reward_manager.name not in STOCK_REWARD_MANAGERS
    if punishes_format and not told:
        yield Problem(
            f"ikea punishes a wrong format, of which reward.reward_manager.name={config.reward.reward_manager.name} "
            f"reports nothing",
            f"use {REWARD_MANAGER}, a reward function that returns 'format' too, or +algorithm.ikea.format_reward=null",
        )
    if filters_groups(config):
        yield Problem(
            f"algorithm.filter_groups.enable=true: no metric tells the groups in which {name} has a signal from those "
            f"in which it has none",
            "turn the filter off",
        )
