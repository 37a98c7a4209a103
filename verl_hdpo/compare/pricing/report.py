"""What ``verl-hdpo price`` prints: the price of each algorithm in each case, as text or as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from verl_hdpo.compare.pricing.algorithm import price_of_variant, settings_of
from verl_hdpo.compare.pricing.measured import GROUP_SIZE, Case, cases_of
from verl_hdpo.compare.pricing.simulation import Conditions
from verl_hdpo.compare.variant import Variant, own_variants
from verl_hdpo.runs.terminal import doing, say, show_json, show_table

SIZE = 16
"""Rollouts of a prompt where none are given."""
UNSEEN = 0.01
"""Share of rollouts that stands for none, so that a model that always calls, or never, has a price."""


def report(
    algos: str, right: float, uses: Sequence[float], size: int | None, cost: float, run: Path | None, as_json: bool
) -> None:
    """Print it.

    Args:
        algos: as of ``verl-hdpo compare``.
        right, uses: p1 and each u of the cases; ``right`` also where a run's model never calls.
        size: n; None: what a run tells, else ``SIZE``.
        cost: of a call.
        run: a run's metrics or rollouts, whose cases take the place of those.

    Raises:
        VariantError, SettingsError, MeasureError: what was given cannot be priced.
    """
    variants = own_variants(algos)
    guarded = any([settings_of(variant).guarded for variant in variants])  # of all: an error is told first
    cases = _of_run(run, size) if run else [Case(f"u = {use:g}", right, None, use, size or SIZE) for use in uses]
    with doing("simulating"):
        prices = [[price_in(variant, case, right, cost) for case in cases] for variant in variants]
    if as_json:
        of_run = run is not None
        show_json([_as_json(variant, cases, row, of_run) for variant, row in zip(variants, prices, strict=True)])
        return
    rows = [[variant.label, *map(in_points, row)] for variant, row in zip(variants, prices, strict=True)]
    show_table(["points of accuracy", *(case.source for case in cases)], rows)
    if guarded:
        say("with guard=true at most that: the guard lowers a price that would cost accuracy")
    for case in cases if run else ():
        say(_told(case))


def _of_run(run: Path, size: int | None) -> list[Case]:
    cases = cases_of(run, size)
    if not all(case.size for case in cases):
        say(f"{run} has no {GROUP_SIZE}: {SIZE} rollouts a prompt are assumed; -n sets their number", err=True)
    return [replace(case, size=case.size or SIZE) for case in cases]


def in_points(price: float | None) -> str:
    """A price as a whole number of points."""
    if price is None:
        return "not known"
    return "more than it gives" if math.isinf(price) else f"{round(100 * price) + 0}"


def price_in(variant: Variant, case: Case, right: float, cost: float = 1.0) -> float | None:
    """The price where rollouts are as in ``case``; ``right`` stands in for its p1 where no rollout called.

    None where a prompt has one rollout: nothing is compared, and so nothing taught.
    """
    if case.size < 2:
        return None
    use = min(max(case.use, UNSEEN), 1 - UNSEEN)
    return price_of_variant(variant, Conditions(right if case.right is None else case.right, use, case.size, cost=cost))


def _as_json(
    variant: Variant, cases: Sequence[Case], prices: Sequence[float | None], of_run: bool
) -> dict[str, object]:
    """``prices`` in points, null where no call gains enough, or a price is not known."""
    row: dict[str, object] = {
        "algo": variant.label,
        "prices": [None if price is None or math.isinf(price) else round(100 * price, 2) for price in prices],
    }
    if of_run:
        row["sources"] = [vars(case) | {"gain": case.gain} for case in cases]
    return row


def _told(case: Case) -> str:
    """What a run's rollouts show of one source."""
    if case.gain is None:
        known = "right without one" if case.right is None else "right with one"
        share = case.direct if case.right is None else case.right
        shown = "" if share is None else f", {known} in {100 * share:.0f} %"
        gains = f"what a call gains is not known{shown}"
    else:
        gains = f"a call gains {100 * case.gain:.0f} points ({100 * (case.right or 0):.0f} % right with it)"
    return f"{case.source}: calls in {100 * case.use:.0f} % of rollouts, {gains}; {_a_prompt(case.size)}"


def _a_prompt(size: int) -> str:
    return "1 rollout a prompt, so that nothing is compared" if size == 1 else f"{size} rollouts a prompt"
