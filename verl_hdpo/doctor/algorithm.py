"""``describe``: which algorithm a run is, with its settings as they are set."""

from __future__ import annotations

from collections.abc import Mapping

from omegaconf import DictConfig
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

from verl_hdpo.adapters.run_settings import HDPO, RunSettings
from verl_hdpo.doctor.estimator_names import unknown_estimator
from verl_hdpo.doctor.sections import RUN
from verl_hdpo.runs.finding import Finding
from verl_hdpo.settings.algorithms import DVAOSettings, PricedSettings, TurnPenaltySettings

HDPO_OWN = ("w_acc", "w_tool", "combine", "tool_loss_norm", "tool_tokens")

DIVIDED: Mapping[str, str] = {
    PricedSettings.NAME: "over the std of the others' rewards",
    DVAOSettings.NAME: "over the sum of both rewards' std",
    TurnPenaltySettings.NAME: "not over std",
}
"""What becomes of advantages with ``norm_by_std``, where it is not GRPO's division."""


def describe(config: DictConfig, run: RunSettings | None) -> Finding:
    """Which algorithm the run is, in one line."""
    estimator = str(config.algorithm.adv_estimator)
    if run is not None and run.algorithm is not None:
        return Finding(RUN, "ok", "algorithm", _in_a_line(run))
    if unknown := unknown_estimator(estimator, map(str, ADV_ESTIMATOR_REGISTRY)):
        return unknown
    if run is not None:
        return Finding(RUN, "ok", "algorithm", f"stock {estimator}; HDPO observes only (hdpo/ metrics)")
    advice = "algorithm.adv_estimator=hdpo does"
    if estimator == "gdpo":
        advice = "verl's gdpo cannot run on its V1 trainer; algorithm.adv_estimator=tool_gdpo is GDPO that can"
    return Finding(RUN, "warn", "algorithm", f"stock {estimator}: HDPO not chosen", (advice,))


def _in_a_line(run: RunSettings) -> str:
    assert run.algorithm is not None
    settings, own = run.hdpo, run.algorithm.model_dump(include=set(HDPO_OWN) if run.name == HDPO else None)
    values = ", ".join(f"{name}={f'{x:g}' if isinstance(x, float) else x}" for name, x in own.items())
    costs = "".join(f", {tool} costs {cost:g}" for tool, cost in settings.tool_costs.items())
    over = DIVIDED.get(run.name, "as GRPO's, over std")
    if not run.norm_by_std:
        over = "not over std" if run.name in DIVIDED else "as GRPO's, not over std"
    return (
        f"{'HDPO' if run.name == HDPO else run.name}: {values}, advantages {over}, "
        f"T={settings.count_calls} calls{costs}, correct if {settings.correct_key} > {settings.correct_threshold:g}"
    )
