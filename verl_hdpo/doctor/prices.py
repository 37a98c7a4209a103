"""``prices_of_run``: the price of a call of each cost that a run has, in a few typical cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.compare.pricing.algorithm import Chosen, price_of
from verl_hdpo.compare.pricing.report import in_points
from verl_hdpo.compare.pricing.simulation import Conditions
from verl_hdpo.doctor.sections import RUN
from verl_hdpo.outcomes.ledger import UNKNOWN_TOOL
from verl_hdpo.runs.finding import Finding

TYPICAL = ((0.5, 0.5), (0.8, 0.1), (0.8, 0.9), (0.95, 0.5))
"""Share right with a call, and share of rollouts with one, for which doctor tells the price."""


def prices_of_run(run: RunSettings, size: int, weight: float, tools: Sequence[str]) -> Iterator[Finding]:
    """A finding for each tool with a cost of its own, and one for the others, calls of no tool that there is included.

    Args:
        size: ``rollout.n``.
        weight: what a right answer adds to the reward.
        tools: names of the tools, as far as they are known.
    """
    costs = run.hdpo.tool_costs
    for tool, cost in costs.items():
        yield _price(run, size, weight, f" of {tool}, at its cost of {cost:g}", cost)
    if {*tools, UNKNOWN_TOOL} - set(costs):
        others = " of another tool" if not tools or set(tools) - set(costs) else f" of no known tool ({UNKNOWN_TOOL})"
        yield _price(run, size, weight, f"{others}, at a cost of 1" if costs else "", 1.0)


def _price(run: RunSettings, size: int, weight: float, of: str, cost: float) -> Finding:
    settings = run.algorithm
    assert settings is not None
    told, chosen = [], Chosen(run.name, settings, run.norm_by_std)
    for right, use in TYPICAL:
        price = price_of(chosen, Conditions(right, use, size, weight, cost))
        told.append(f"{in_points(price)} ({use:.0%} call, {right:.0%} right)")
    gain = "must gain at most (guarded)" if chosen.guarded else "must gain"
    return Finding(RUN, "ok", "price of a call", f"points of accuracy that a call{of} {gain}: {', '.join(told)}")
