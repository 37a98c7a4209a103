"""A composed run, as verl and this package look at it before it starts: which algorithm is it, and will it begin?"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import NamedTuple

from omegaconf import DictConfig
from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.utils.tracking import Tracking

from verl_hdpo.adapters.check import no_tool_calls, problems, unused_groups, warnings
from verl_hdpo.adapters.problem import AgentLoops, Problem
from verl_hdpo.adapters.run_settings import RunSettings, answer_weight
from verl_hdpo.adapters.user_code import in_words
from verl_hdpo.doctor.algorithm import describe
from verl_hdpo.doctor.config import lookup_in
from verl_hdpo.doctor.engine_limits import engine_limits
from verl_hdpo.doctor.files import listed
from verl_hdpo.doctor.late_names import late_names, passed_over
from verl_hdpo.doctor.logged import logged
from verl_hdpo.doctor.prices import prices_of_run
from verl_hdpo.doctor.refusals import refusals
from verl_hdpo.doctor.sections import RUN
from verl_hdpo.doctor.tools import tools_of
from verl_hdpo.doctor.worker_checks import worker_problems, worker_warnings
from verl_hdpo.runs.finding import Finding, Mark
from verl_hdpo.runs.verl_command import STEPS


class OwnChecks(NamedTuple):
    """What this package's own checks say of a run: what it cannot have, what is odd, why it calls no tool."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    no_tool_calls: tuple[Problem, ...] = ()

    @property
    def loops(self) -> set[str]:
        """The agent loops that they are about."""
        return {problem.loop for several in self for problem in several}


def own_checks(config: DictConfig, run: RunSettings | None, loops: AgentLoops) -> OwnChecks:
    """Nothing of a run that asks for nothing of this package."""
    if run is None:
        return OwnChecks()
    return OwnChecks(*(tuple(check(config, run, loops)) for check in (problems, warnings, no_tool_calls)))


def check_run_config(config: DictConfig, run: RunSettings | None, own: OwnChecks) -> Iterator[Finding]:
    """verl's own checks and all of this package's: neither hides the other's."""
    if steps := config.trainer.get("total_training_steps"):
        yield Finding(RUN, "ok", STEPS, str(steps))
    yield (algorithm := describe(config, run))
    if run is not None and run.algorithm is not None and config.actor_rollout_ref.rollout.n > 1:
        tools = [tool.name for tool in tools_of(config)] if run.hdpo.tool_costs else []
        weight = answer_weight(config, run.algorithm)
        yield from prices_of_run(run, config.actor_rollout_ref.rollout.n, weight, tools)
    # A critic is refused by this package's checks, and then its settings are of no interest.
    critic = algorithm.mark != "FAIL" and (run is None or run.algorithm is None)
    found = list(refusals(config, critic))
    found += _told("FAIL", "verl's workers", worker_problems(config))
    found += _told("FAIL", "verl's workers", late_names(config))
    found += _told("FAIL", "rollout engine", engine_limits(config))
    found += _told("warn", "verl's workers", passed_over(config))
    found += _told("warn", "verl's workers", worker_warnings(config))
    found += _named_parts(config)
    found += _told("FAIL", "config", own.problems)
    # Nothing is left to learn: that is not what someone means who chose an algorithm of this package.
    found += _told("FAIL" if run and run.algorithm else "warn", "tool calls", own.no_tool_calls)
    found += _told("warn", "config", own.warnings)
    if algorithm.mark != "FAIL":
        found += _told("warn", "config", unused_groups(config, run))
    if not any(finding.mark == "FAIL" for finding in found):
        found += _trainer(config)
    yield from found or [Finding(RUN, "ok", "config", "verl's checks and HDPO's pass")]


def _named_parts(config: DictConfig) -> Iterator[Finding]:
    """Parts of verl that a run names, and misses after its model is loaded."""
    loss = config.actor_rollout_ref.actor.policy_loss.get("loss_mode", "vanilla")
    if loss not in POLICY_LOSS_REGISTRY:
        found = f"actor_rollout_ref.actor.policy_loss.loss_mode={loss} is not registered"
        yield Finding(RUN, "FAIL", "policy loss", found, (f"use one of {', '.join(sorted(POLICY_LOSS_REGISTRY))}",))
    for name in listed(lookup_in(config)("trainer.logger")):
        if name not in (*Tracking.supported_backend, "tracking"):
            found = f"trainer.logger names {name}, which verl does not have"
            advice = f"use {', '.join(Tracking.supported_backend)}"
            yield Finding(RUN, "FAIL", "logger", found, (advice,))


def _told(mark: Mark, subject: str, found: Iterable[Problem]) -> list[Finding]:
    return [Finding(RUN, mark, subject, problem.found, (problem.advice,)) for problem in found]


def _trainer(config: DictConfig) -> Iterator[Finding]:
    """What verl asserts when it makes the trainer, in a Ray actor, minutes after the start."""
    if not config.trainer.get("use_v1", True):
        return
    try:
        with redirect_stdout(StringIO()), logged():
            get_trainer_cls(config.trainer.v1.trainer_mode)(copy.deepcopy(config))
    except Exception as error:
        found = f"trainer.v1.trainer_mode={config.trainer.v1.trainer_mode}: {in_words(error)}"
        yield Finding(RUN, "FAIL", "trainer", found, ("verl's trainer refuses this config: change what it names",))
