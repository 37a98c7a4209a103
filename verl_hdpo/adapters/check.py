"""What a verl config must satisfy for an estimator of this package, checked before any worker starts.

The trainer checks when it is made; the driver checks earlier, inside verl's ``validate_config``, before Ray starts.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator

import verl
from omegaconf import DictConfig
from packaging.version import Version

from verl_hdpo.adapters.names import (
    AGENT_LOOP,
    CORRECT_KEY,
    KNOWN_KEY,
    LOOPS_WITHOUT_LEDGER,
    REWARD_MANAGER,
    SIGNAL_KEY,
    STOCK_REWARD_MANAGERS,
    TRAINER_MODES,
)
from verl_hdpo.adapters.run_settings import HDPO, RunSettings, group_settings, reward_settings, run_settings
from verl_hdpo.algorithm.qualifying import HOMOGENEOUS_LOSSES
from verl_hdpo.settings.algorithms import ALGORITHMS, AlgorithmSettings, HDPOSettings, IKEASettings
from verl_hdpo.settings.group import SettingsError

logger = logging.getLogger(__name__)


def check_run(config: DictConfig) -> RunSettings | None:
    """The settings of a run; refuses one that HDPO, or the rival chosen, cannot act in.

    Raises:
        SettingsError: every problem found, each with what to do.
    """
    run = run_settings(config)
    for warning in _unused_groups(config, run):
        logger.warning(warning)
    if run is None:
        return None
    problems = list(_host_problems(config))
    if run.algorithm is not None:
        problems += _algorithm_problems(config, run.hdpo)
        problems += _hdpo_problems(config, run.hdpo) if run.name == HDPO else _rival_problems(config, run.algorithm)
    if problems:
        who = "HDPO" if run.algorithm is None or run.name == HDPO else f"algorithm.adv_estimator={run.name}"
        raise SettingsError(f"{who} cannot run with this config:\n" + "\n".join(f"  - {p}" for p in problems))
    for warning in _ignored_settings(config, run.hdpo):
        logger.warning(warning)
    return run


def _unused_groups(config: DictConfig, run: RunSettings | None) -> Iterator[str]:
    """Groups of settings that the run makes no use of, once their keys and values are found to be right."""
    chosen = config.algorithm.adv_estimator
    for name in ALGORITHMS:
        if config.algorithm.get(name) and name != chosen and not (name == HDPO and run):
            group_settings(config, name)
            observe = ", or algorithm.hdpo.observe=true to log its metrics only" if name == HDPO else ""
            yield (
                f"algorithm.{name} is set, but algorithm.adv_estimator={chosen} makes no use of it; set "
                f"adv_estimator={name}{observe}"
            )


def _host_problems(config: DictConfig) -> Iterator[str]:
    """Where the trainer has no place to act."""
    if not Version("0.9.0") <= Version(Version(verl.__version__).base_version) < Version("0.10"):
        yield f"verl {verl.__version__} is installed; verl-hdpo supports 0.9.x: pip install 'verl>=0.9.0,<0.10'"
    if importlib.util.find_spec("transfer_queue") is None:
        yield "TransferQueue, which verl's V1 trainer needs, is not installed: pip install 'TransferQueue>=0.1.10'"
    if not config.trainer.get("use_v1", False):
        yield "trainer.use_v1=false is verl's legacy trainer, which gives a plugin no access to tool calls; remove it"
    if config.get("rollout") or config.get("async_training"):  # what their configs add to ppo_trainer's
        yield (
            "this is a config of verl's experimental one_step_off_policy or fully_async_policy, whose trainers tell a "
            "plugin nothing of tool calls; use python -m verl.trainer.main_ppo with "
            "trainer.v1.trainer_mode=separate_async"
        )
    mode = config.trainer.get("v1", {}).get("trainer_mode")
    if mode not in TRAINER_MODES:
        yield f"trainer.v1.trainer_mode={mode} is not a trainer that HDPO knows; use one of {', '.join(TRAINER_MODES)}"
    reward_model = config.reward.reward_model
    if reward_model.enable and not reward_model.enable_resource_pool:
        yield (
            "a colocated reward model reports no outcome before advantages are computed; set "
            "reward.reward_model.enable_resource_pool=true"
        )
    custom, manager = config.reward.custom_reward_function.path, config.reward.reward_manager.name
    judge = reward_settings(config).judge if manager == REWARD_MANAGER else None
    asks_judge = judge is not None and judge.when != "never"
    if reward_model.enable and not custom and not asks_judge:
        yield (
            "a reward model alone gives a score and no verdict on correctness; make it the judge with "
            f"reward.reward_manager.name={REWARD_MANAGER} +reward.reward_kwargs.judge=when_undecided, or set "
            "reward.custom_reward_function.path to a function that asks it and returns 'score' and 'acc'"
        )
    if not asks_judge:
        return
    if custom:
        yield (
            "reward.reward_kwargs.judge and reward.custom_reward_function.path are both set, and the function takes "
            "the judge's place; remove one of them"
        )
    if not judge.endpoints and not reward_model.enable:
        yield (
            "reward.reward_kwargs.judge has nobody to ask; set its endpoints and model, or let verl serve the judge "
            "with reward.reward_model.enable=true"
        )
    if not judge.endpoints and reward_model.enable_resource_pool and reward_model.rollout.free_cache_engine:
        # verl wakes a reward model only where it is colocated (reward_loop.py, compute_rm_score).
        yield (
            "reward.reward_model.rollout.free_cache_engine=true puts the judge to sleep, and verl wakes a reward model "
            "with GPUs of its own never; set it to false"
        )


def _algorithm_problems(config: DictConfig, settings: HDPOSettings) -> Iterator[str]:
    """Combinations in which an estimator would silently be something else."""
    name, rollout = config.algorithm.adv_estimator, config.actor_rollout_ref.rollout
    if rollout.n < 2:
        yield f"actor_rollout_ref.rollout.n={rollout.n}: a rollout is compared with its prompt's others; use 2 or more"
    if config.critic.get("enable"):
        yield f"critic.enable=true: {name} has no critic; remove it"
    if (config.get("distillation") or {}).get("enabled", False):
        yield f"distillation.enabled=true replaces the policy loss that {name} acts through; turn one of them off"
    loop, manager = rollout.agent.default_agent_loop, config.reward.reward_manager.name
    if manager == REWARD_MANAGER and loop == "tool_agent":
        yield (
            f"reward manager {manager} cannot tell the model's tokens from the tools' in agent loop {loop}; set "
            f"actor_rollout_ref.rollout.agent.default_agent_loop={AGENT_LOOP}"
        )
    own = (settings.correct_key, settings.known_key)
    if manager == REWARD_MANAGER and own != (CORRECT_KEY, KNOWN_KEY):
        yield (
            f"reward manager {manager} reports outcomes under {CORRECT_KEY} and {KNOWN_KEY}, and algorithm.hdpo looks "
            f"under {' and '.join(own)}; remove correct_key and known_key"
        )
    if settings.tool_costs and loop in LOOPS_WITHOUT_LEDGER:
        yield (
            f"algorithm.hdpo.tool_costs: agent loop {loop} does not tell which tools were called; set "
            f"actor_rollout_ref.rollout.agent.default_agent_loop={AGENT_LOOP}"
        )


def _hdpo_problems(config: DictConfig, settings: HDPOSettings) -> Iterator[str]:
    actor = config.actor_rollout_ref.actor
    loss_mode = actor.policy_loss.get("loss_mode", "vanilla")
    if settings.tool_loss_norm == "qualifying":
        if settings.combine == "advantage":
            yield (
                "algorithm.hdpo.tool_loss_norm=qualifying is a denominator of the efficiency loss, and with "
                "combine=advantage there is but one loss; use combine=loss or tool_loss_norm=all"
            )
        if loss_mode not in HOMOGENEOUS_LOSSES:
            yield (
                f"algorithm.hdpo.tool_loss_norm=qualifying is not exact for the policy loss {loss_mode}, "
                f"but for {', '.join(HOMOGENEOUS_LOSSES)}; use tool_loss_norm=all"
            )
        if actor.get("shuffle", False):
            yield (
                "algorithm.hdpo.tool_loss_norm=qualifying counts tokens per mini-batch, which "
                "actor_rollout_ref.actor.shuffle=true makes up inside the workers; use tool_loss_norm=all"
            )
    filter_groups = config.algorithm.get("filter_groups")
    if not filter_groups or not filter_groups.get("enable"):
        return
    reward = config.reward
    if reward.reward_manager.name in STOCK_REWARD_MANAGERS and not reward.custom_reward_function.path:
        yield (
            f"algorithm.filter_groups needs {SIGNAL_KEY} in reward_extra_info, which reward manager "
            f"{reward.reward_manager.name} does not report; set reward.reward_manager.name={REWARD_MANAGER}"
        )
    if filter_groups.get("metric") != SIGNAL_KEY:
        yield (
            f"algorithm.filter_groups.metric={filter_groups.get('metric')} drops all-correct groups, where the "
            f"efficiency channel has most to say; set it to {SIGNAL_KEY}, which reward.reward_manager.name="
            f"{REWARD_MANAGER} reports"
        )


def _rival_problems(config: DictConfig, settings: AlgorithmSettings) -> Iterator[str]:
    name, filter_groups = config.algorithm.adv_estimator, config.algorithm.get("filter_groups")
    if config.algorithm.use_kl_in_reward and not settings.uses_reward:
        yield (
            f"algorithm.use_kl_in_reward=true: {name} makes a reward of its own from the outcomes, and the KL penalty "
            f"would be lost; use actor_rollout_ref.actor.use_kl_loss=true instead"
        )
    punishes_format = isinstance(settings, IKEASettings) and settings.format_reward is not None
    told = config.reward.custom_reward_function.path or config.reward.reward_manager.name not in STOCK_REWARD_MANAGERS
    if punishes_format and not told:
        yield (
            f"ikea punishes a wrong format, of which reward.reward_manager.name={config.reward.reward_manager.name} "
            f"reports nothing; use {REWARD_MANAGER}, a reward function that returns 'format' too, or "
            f"+algorithm.ikea.format_reward=null"
        )
    if filter_groups and filter_groups.get("enable"):
        yield (
            f"algorithm.filter_groups.enable=true: no metric tells the groups in which {name} has a signal from those "
            f"in which it has none; turn the filter off"
        )


def _ignored_settings(config: DictConfig, settings: HDPOSettings) -> Iterator[str]:
    """What works, and not as one might think."""
    if config.actor_rollout_ref.actor.policy_loss.get("loss_mode") == "bypass_mode":
        # rollout_corr_helper.py: "response_mask must contain at least one valid token"
        yield (
            "the policy loss bypass_mode raises on a micro-batch in which every outcome is unknown; use another one if "
            "your judge or your tools may be down"
        )
    loop, default = config.actor_rollout_ref.rollout.agent.default_agent_loop, HDPOSettings()
    if loop == "single_turn_agent":
        yield (
            f"agent loop {loop}, verl's default, calls no tools: T is 0 for every rollout, and nothing is left to "
            f"learn about tools; set actor_rollout_ref.rollout.agent.default_agent_loop={AGENT_LOOP}, unless the "
            f"data's column agent_name names another"
        )
    if loop not in LOOPS_WITHOUT_LEDGER:
        return
    for name in ("count_calls", "max_tool_calls", "tool_timeout"):
        if getattr(settings, name) != getattr(default, name):
            yield (
                f"algorithm.hdpo.{name} has no effect in agent loop {loop}, which keeps no ledger of calls; set "
                f"actor_rollout_ref.rollout.agent.default_agent_loop={AGENT_LOOP}"
            )
