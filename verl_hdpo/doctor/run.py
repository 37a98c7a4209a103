"""A composed run, as verl and this package look at it before it starts: which algorithm is it, and will it begin?"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import NamedTuple

from omegaconf import DictConfig
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.utils.tracking import Tracking

from verl_hdpo.adapters.check import no_tool_calls, problems, unused_groups, warnings
from verl_hdpo.adapters.problem import AgentLoops, Problem
from verl_hdpo.adapters.run_settings import HDPO, RunSettings, answer_weight
from verl_hdpo.adapters.user_code import in_words
from verl_hdpo.compare.pricing.algorithm import price_of
from verl_hdpo.compare.pricing.report import in_points
from verl_hdpo.doctor.config import lookup_in
from verl_hdpo.doctor.engine_limits import engine_limits
from verl_hdpo.doctor.estimator_names import unknown_estimator
from verl_hdpo.doctor.files import listed
from verl_hdpo.doctor.late_names import late_names, passed_over
from verl_hdpo.doctor.logged import logged
from verl_hdpo.doctor.refusals import refusals
from verl_hdpo.doctor.sections import RUN
from verl_hdpo.doctor.worker_checks import worker_problems, worker_warnings
from verl_hdpo.runs.finding import Finding, Mark
from verl_hdpo.runs.verl_command import STEPS

TYPICAL = ((0.5, 0.5), (0.8, 0.1), (0.8, 0.9), (0.95, 0.5))
"""Share right with a call, and share of rollouts with one, for which doctor tells the price."""

HDPO_OWN = ("w_acc", "w_tool", "combine", "tool_loss_norm", "tool_tokens")


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
        yield price_of_run(run, config.actor_rollout_ref.rollout.n, answer_weight(config))
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


def describe(config: DictConfig, run: RunSettings | None) -> Finding:
    """Which algorithm the run is, in one line."""
    estimator = str(config.algorithm.adv_estimator)
    if run is not None and run.algorithm is not None:
        settings = run.hdpo
        shown = {name: getattr(settings, name) for name in HDPO_OWN} if estimator == HDPO else run.algorithm.parameters
        values = ", ".join(f"{name}={f'{x:g}' if isinstance(x, float) else x}" for name, x in shown.items())
        costs = "".join(f", {tool} costs {cost:g}" for tool, cost in settings.tool_costs.items())
        text = (
            f"{'HDPO' if estimator == HDPO else estimator}: {values}, "
            f"advantages as GRPO's, {'over' if run.norm_by_std else 'not over'} std, "
            f"T={settings.count_calls} calls{costs}, correct if {settings.correct_key} > "
            f"{settings.correct_threshold:g}"
        )
        return Finding(RUN, "ok", "algorithm", text)
    if unknown := unknown_estimator(estimator, map(str, ADV_ESTIMATOR_REGISTRY)):
        return unknown
    if run is not None:
        return Finding(RUN, "ok", "algorithm", f"stock {estimator}; HDPO observes only (hdpo/ metrics)")
    advice = "algorithm.adv_estimator=hdpo does"
    if estimator == "gdpo":
        advice = "verl's gdpo cannot run on its V1 trainer; algorithm.adv_estimator=tool_gdpo is GDPO that can"
    return Finding(RUN, "warn", "algorithm", f"stock {estimator}: HDPO not chosen", (advice,))


def price_of_run(run: RunSettings, size: int, weight: float) -> Finding:
    """The price of a call of its setting in a few typical cases, in points."""
    settings = run.hdpo if run.name == HDPO else run.algorithm
    assert settings is not None
    told = []
    for right, use in TYPICAL:
        price = in_points(price_of(run.name, settings, right, use, size, run.norm_by_std, weight))
        told.append(f"{price} ({use:.0%} call, {right:.0%} right)")
    return Finding(RUN, "ok", "price of a call", f"points of accuracy that a call must gain: {', '.join(told)}")


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
