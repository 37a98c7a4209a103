"""What a verl config must satisfy for an estimator of this package, checked before any worker starts.

The trainer checks when it is made; the driver checks earlier, inside verl's ``validate_config``, before Ray starts;
``verl-hdpo doctor`` earlier still, with what it knows of the data.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from typing import NamedTuple

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
from verl_hdpo.settings.judge import JudgeSettings

ROLLOUT = "actor_rollout_ref.rollout"
MULTI_TURN = f"{ROLLOUT}.multi_turn"
STOCK_TOOLS, SINGLE_TURN = LOOPS_WITHOUT_LEDGER
DEFAULT_LOOP = f"{ROLLOUT}.agent.default_agent_loop"

logger = logging.getLogger(__name__)


class Problem(NamedTuple):
    """Something a run cannot have, or should not.

    Attributes:
        found: what is wrong.
        advice: what to do.
        loop: the agent loop that it is about, if any.
    """

    found: str
    advice: str
    loop: str = ""

    def __str__(self) -> str:
        return f"{self.found}; {self.advice}"


def check_run(config: DictConfig) -> RunSettings | None:
    """The settings of a run; refuses one that HDPO, or the rival chosen, cannot act in.

    Raises:
        SettingsError: every problem found, each with what to do.
    """
    run = run_settings(config)
    for warning in unused_groups(config, run):
        logger.warning(warning)
    if run is None:
        return None
    if found := list(problems(config, run)):
        who = "HDPO" if run.algorithm is None or run.name == HDPO else f"algorithm.adv_estimator={run.name}"
        raise SettingsError(f"{who} cannot run with this config:\n" + "\n".join(f"  - {p}" for p in found))
    for warning in (*warnings(config, run), *no_tool_calls(config, run)):
        logger.warning(warning)
    return run


class AgentLoops(NamedTuple):
    """The agent loops that a run uses.

    Attributes:
        names: all of them.
        training: those of the training data.
        advice: how to choose another.
    """

    names: tuple[str, ...]
    training: tuple[str, ...]
    advice: str

    @classmethod
    def of(cls, config: DictConfig) -> AgentLoops:
        """As far as the config tells: the data's column ``agent_name`` may name others."""
        default = (config.actor_rollout_ref.rollout.agent.default_agent_loop,)
        return cls(default, default, f"set {DEFAULT_LOOP}={AGENT_LOOP}")


def problems(config: DictConfig, run: RunSettings, loops: AgentLoops | None = None) -> Iterator[Problem]:
    """What the run cannot have; ``loops`` as far as its config tells unless given."""
    yield from _host_problems(config)
    if run.algorithm is not None:
        yield from _algorithm_problems(config, run.hdpo, loops or AgentLoops.of(config))
        yield from (_hdpo_problems(config, run.hdpo) if run.name == HDPO else _rival_problems(config, run.algorithm))


def unused_groups(config: DictConfig, run: RunSettings | None) -> Iterator[Problem]:
    """Groups of settings that the run makes no use of, once their keys and values are found to be right."""
    chosen = config.algorithm.adv_estimator
    for name in ALGORITHMS:
        if config.algorithm.get(name) and name != chosen and not (name == HDPO and run):
            group_settings(config, name)
            observe = ", or algorithm.hdpo.observe=true to log its metrics only" if name == HDPO else ""
            yield Problem(
                f"algorithm.{name} is set, but algorithm.adv_estimator={chosen} makes no use of it",
                f"set adv_estimator={name}{observe}",
            )


def no_tool_calls(config: DictConfig, run: RunSettings, loops: AgentLoops | None = None) -> Iterator[Problem]:
    """Why T is 0 for every rollout, so that nothing is left to learn about tools."""
    loops = loops or AgentLoops.of(config)
    multi_turn = config.actor_rollout_ref.rollout.multi_turn
    if not set(loops.training) <= {AGENT_LOOP, *LOOPS_WITHOUT_LEDGER}:
        return  # one of the owner's own may have tools of its own, and turns
    if set(loops.training) == {SINGLE_TURN}:
        yield Problem(
            f"agent loop {SINGLE_TURN}, verl's default, calls no tools: T is 0 for every rollout, and nothing is left "
            f"to learn about tools",
            loops.advice,
            SINGLE_TURN,
        )
    if not (multi_turn.get("tool_config_path") or multi_turn.get("function_tool_path")):
        yield Problem(
            "no tools are configured: T is 0 for every rollout, and nothing is left to learn about tools",
            f"name them by {MULTI_TURN}.tool_config_path or {MULTI_TURN}.function_tool_path",
        )
    if multi_turn.get("max_assistant_turns") == 1:
        yield Problem(
            f"{MULTI_TURN}.max_assistant_turns=1: a rollout ends with the model's first turn, and no call in it is run",
            "set it to 2 or more: the turns with calls, and the answer",
        )
    if multi_turn.get("max_parallel_calls") == 0:
        yield Problem(f"{MULTI_TURN}.max_parallel_calls=0: no tool call is run", "set it to 1 or more")
    if run.hdpo.max_tool_calls == 0 and AGENT_LOOP in loops.training:
        yield Problem("algorithm.hdpo.max_tool_calls=0: no tool call is run", "set it to 1 or more, or null")


def _host_problems(config: DictConfig) -> Iterator[Problem]:
    """Where the trainer has no place to act."""
    if not Version("0.9.0") <= Version(Version(verl.__version__).base_version) < Version("0.10"):
        found = f"verl {verl.__version__} is installed; verl-hdpo supports 0.9.x"
        yield Problem(found, "pip install 'verl>=0.9.0,<0.10'")
    if importlib.util.find_spec("transfer_queue") is None:
        found = "TransferQueue, which verl's V1 trainer needs, is not installed"
        yield Problem(found, "pip install 'TransferQueue>=0.1.10'")
    if not config.trainer.get("use_v1", False):
        yield Problem(
            "trainer.use_v1=false is verl's legacy trainer, which verl-hdpo does not support: verl replaces it by V1",
            "remove it",
        )
    if config.get("rollout") or config.get("async_training"):  # what their configs add to ppo_trainer's
        yield Problem(
            "this is a config of verl's experimental one_step_off_policy or fully_async_policy, whose trainers "
            "verl-hdpo does not support: verl replaces them by its V1 trainer",
            "use python -m verl.trainer.main_ppo with trainer.v1.trainer_mode=separate_async",
        )
    mode = config.trainer.get("v1", {}).get("trainer_mode")
    if mode not in TRAINER_MODES:
        found = f"trainer.v1.trainer_mode={mode} is not a trainer that HDPO knows"
        yield Problem(found, f"use one of {', '.join(TRAINER_MODES)}")
    if mode == "separate_async":
        yield from _separate_async_problems(config)
    yield from _colocated_problems(config)
    yield from _judge_problems(config)


def _colocated_problems(config: DictConfig) -> Iterator[Problem]:
    """Where a reward model on the actor's GPUs, which is asked batch by batch, comes too late or is not heard."""
    model, filter_groups = config.reward.reward_model, config.algorithm.get("filter_groups")
    if not model.enable or model.enable_resource_pool:
        return
    pool = "set reward.reward_model.enable_resource_pool=true"
    if config.reward.reward_manager.name != REWARD_MANAGER:
        yield Problem(
            f"of a colocated reward model, reward.reward_manager.name={config.reward.reward_manager.name} reports no "
            f"outcome before advantages are computed",
            f"set it to {REWARD_MANAGER}, or {pool}",
        )
    if filter_groups and filter_groups.get("enable"):
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


def _algorithm_problems(config: DictConfig, settings: HDPOSettings, loops: AgentLoops) -> Iterator[Problem]:
    """Combinations in which an estimator would silently be something else."""
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
    for loop in _without_ledger(loops) if settings.tool_costs else ():
        found = f"algorithm.hdpo.tool_costs: agent loop {loop} does not tell which tools were called"
        yield Problem(found, loops.advice, loop)


def _hdpo_problems(config: DictConfig, settings: HDPOSettings) -> Iterator[Problem]:
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
    filter_groups = config.algorithm.get("filter_groups")
    if not filter_groups or not filter_groups.get("enable"):
        return
    reward = config.reward
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


def _rival_problems(config: DictConfig, settings: AlgorithmSettings) -> Iterator[Problem]:
    name, filter_groups = config.algorithm.adv_estimator, config.algorithm.get("filter_groups")
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
    if filter_groups and filter_groups.get("enable"):
        yield Problem(
            f"algorithm.filter_groups.enable=true: no metric tells the groups in which {name} has a signal from those "
            f"in which it has none",
            "turn the filter off",
        )


def warnings(config: DictConfig, run: RunSettings, loops: AgentLoops | None = None) -> Iterator[Problem]:
    """What works, and not as one might think."""
    if config.actor_rollout_ref.actor.policy_loss.get("loss_mode") == "bypass_mode":
        # rollout_corr_helper.py: "response_mask must contain at least one valid token"
        yield Problem(
            "the policy loss bypass_mode raises on a micro-batch in which every outcome is unknown",
            "use another one if your judge or your tools may be down",
        )
    loops, default = loops or AgentLoops.of(config), HDPOSettings()
    without = _without_ledger(loops)
    for name in ("count_calls", "max_tool_calls", "tool_timeout") if without else ():
        if getattr(run.hdpo, name) != getattr(default, name):
            yield Problem(
                f"algorithm.hdpo.{name} has no effect in agent loop {' or '.join(without)}, which keeps no ledger of "
                f"calls",
                loops.advice,
                without[0],
            )


def _without_ledger(loops: AgentLoops) -> list[str]:
    return [loop for loop in loops.names if loop in LOOPS_WITHOUT_LEDGER]
