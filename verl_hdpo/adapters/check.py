"""What a verl config must satisfy for an estimator of this package, checked before any worker starts.

The trainer checks when it is made; the driver checks earlier, inside verl's ``validate_config``, before Ray starts;
``verl-hdpo doctor`` earlier still, with what it knows of the data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from omegaconf import DictConfig

from verl_hdpo.adapters.algorithm_check import algorithm_problems
from verl_hdpo.adapters.host_check import host_problems
from verl_hdpo.adapters.hosts import CLASSIC, host_of
from verl_hdpo.adapters.names import AGENT_LOOP, SINGLE_TURN, STOCK_LOOPS
from verl_hdpo.adapters.problem import AgentLoops, Problem
from verl_hdpo.adapters.run_settings import HDPO, RunSettings, group_settings, run_settings
from verl_hdpo.adapters.version_check import version_warnings
from verl_hdpo.runs.verl_keys import MULTI_TURN, ROLLOUT
from verl_hdpo.settings.agent_loop import AgentLoopSettings
from verl_hdpo.settings.algorithms import ALGORITHMS, HDPOSettings
from verl_hdpo.settings.group import SettingsError

logger = logging.getLogger(__name__)


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


def problems(config: DictConfig, run: RunSettings, loops: AgentLoops | None = None) -> Iterator[Problem]:
    """What the run cannot have; ``loops`` as far as its config tells unless given."""
    yield from host_problems(config)
    yield from algorithm_problems(config, run, loops or AgentLoops.of(config))


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
    if not set(loops.training) <= {AGENT_LOOP, *STOCK_LOOPS}:
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


def warnings(config: DictConfig, run: RunSettings, loops: AgentLoops | None = None) -> Iterator[Problem]:
    """What works, and not as one might think."""
    yield from version_warnings()
    if host_of(config) is CLASSIC and (config.algorithm.get("filter_groups") or {}).get("enable"):
        yield Problem(
            "verl's classic trainer ignores algorithm.filter_groups: every group is trained on",
            "turn the filter off, or remove trainer.use_v1=false",
        )
    if config.actor_rollout_ref.actor.policy_loss.get("loss_mode") == "bypass_mode":
        # rollout_corr_helper.py: "response_mask must contain at least one valid token"
        yield Problem(
            "the policy loss bypass_mode raises on a micro-batch in which every outcome is unknown",
            "use another one if your judge or your tools may be down",
        )
    rollout = config.actor_rollout_ref.rollout
    if run.algorithm is not None and rollout.temperature == 0 and not rollout.val_kwargs.do_sample:  # verl refuses that
        found = f"{ROLLOUT}.temperature=0: the rollouts of a prompt are all alike, and none is better than another"
        yield Problem(found, "set it to 1.0")
    loops, default = loops or AgentLoops.of(config), HDPOSettings()
    without = loops.without_ledger
    for name in ("count_calls", *AgentLoopSettings.model_fields) if without else ():
        if getattr(run.hdpo, name) != getattr(default, name):
            yield Problem(
                f"algorithm.hdpo.{name} has no effect in agent loop {' or '.join(without)}, which keeps no ledger of "
                f"calls",
                loops.advice,
                without[0],
            )
