"""What ``verl-hdpo price`` prints: the price of each algorithm in each case, as text or as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from verl_hdpo.compare.pricing.algorithm import price_of_variant, settings_of
from verl_hdpo.compare.pricing.measured import GROUP_SIZE, Case, MeasureError, cases_of
from verl_hdpo.compare.pricing.simulation import Conditions
from verl_hdpo.compare.variant import Variant, own_variants
from verl_hdpo.runs.terminal import doing, say, show_json, show_table

UNSEEN = 0.01
"""Share of rollouts that stands for none, so that a model that always calls, or never, has a price."""


class Given(NamedTuple):
    """What the user says of p1, n and a right answer's reward; None: nothing."""

    right: float | None = None
    size: int | None = None
    answer_weight: float | None = None


ASSUMED = Given(0.8, 16)
"""Where neither a run nor the user tells."""


def report(algos: str, given: Given, uses: Sequence[float], cost: float, run: Path | None, as_json: bool) -> None:
    """Print it.

    Args:
        algos: as of ``verl-hdpo compare``.
        given: for the cases of ``uses``, or as far as a run does not tell.
        uses: u of each case.
        cost: of a call.
        run: a run's metrics or rollouts, whose cases take the place of those.

    Raises:
        VariantError, SettingsError, MeasureError: what was given cannot be priced.
    """
    variants = own_variants(algos)
    guarded = any([settings_of(variant).guarded for variant in variants])  # of all: an error is told first
    told = _of_run(run, given) if run else [Case(f"u = {use:g}", None, None, use) for use in uses]
    cases = [_completed(_completed(case, given), ASSUMED) for case in told]
    with doing("simulating"):
        prices = [[price_in(variant, case, cost) for case in cases] for variant in variants]
    if as_json:
        show_json([_as_json(variant, row, told if run else ()) for variant, row in zip(variants, prices, strict=True)])
        return
    rows = [[variant.label, *map(in_points, row)] for variant, row in zip(variants, prices, strict=True)]
    show_table(["points of accuracy", *(case.source for case in cases)], rows)
    if guarded:
        say("with guard=true at most that: the guard lowers a price that would cost accuracy")
    for known, case in zip(told, cases, strict=True) if run else ():
        say(_line(known, case))


def _of_run(run: Path, given: Given) -> list[Case]:
    cases = cases_of(run)
    for option, name in (("--right", "right"), ("-n", "size"), ("--answer-weight", "answer_weight")):
        value, told = getattr(given, name), {getattr(case, name) for case in cases}
        if value is not None and None not in told and told != {value}:
            raise MeasureError(f"{option} {value:g}: {run} tells {_listed(told)}; leave {option} out")
    if given.size is None and any(case.size is None for case in cases):
        say(f"{run} has no {GROUP_SIZE}: {ASSUMED.size} rollouts a prompt are assumed; -n sets their number", err=True)
    return cases


def _listed(told: set[float]) -> str:
    return " and ".join(f"{value:.3g}" for value in sorted(told))


def _completed(case: Case, given: Given) -> Case:
    unknown = {name: value for name, value in given._asdict().items() if getattr(case, name) is None}
    return replace(case, **unknown)


def in_points(price: float | None) -> str:
    """A price as a whole number of points."""
    if price is None:
        return "not known"
    return "more than it gives" if math.isinf(price) else f"{round(100 * price) + 0}"


def price_in(variant: Variant, case: Case, cost: float = 1.0) -> float | None:
    """The price where rollouts are as in ``case``.

    None where no rollout called, or a prompt has one: nothing is compared, and so nothing taught.
    """
    if case.right is None or case.size is None or case.size < 2:
        return None
    return price_of_variant(variant, Conditions(case.right, _seen(case.use), case.size, case.answer_weight, cost))


def _seen(use: float) -> float:
    return min(max(use, UNSEEN), 1 - UNSEEN)


def _as_json(variant: Variant, prices: Sequence[float | None], told: Sequence[Case]) -> dict[str, object]:
    """``prices`` in points, null where no call gains enough, or a price is not known; ``sources`` of a run."""
    row: dict[str, object] = {
        "algo": variant.label,
        "prices": [None if price is None or math.isinf(price) else round(100 * price, 2) for price in prices],
    }
    if settings_of(variant).guarded:
        row["guarded"] = True
    if told:
        row["sources"] = [vars(case) | {"gain": case.gain} for case in told]
    return row


def _line(told: Case, case: Case) -> str:
    """What a run's rollouts show of one source, and what ``case`` took for what they do not."""
    calls = f"calls in {100 * told.use:.0f} % of rollouts"
    if _seen(told.use) != told.use:
        calls += f" (priced as {100 * _seen(told.use):.0f} %)"
    if told.right is None:
        gains = f"what a call gains is not known, right without one in {100 * (told.direct or 0):.0f} %"
        gains += f" ({100 * (case.right or 0):.0f} % with one is assumed; --right sets it)"
    elif told.gain is None:
        gains = f"what a call gains is not known, right with one in {100 * told.right:.0f} %"
    else:
        gains = f"a call gains {100 * told.gain:.0f} points ({100 * told.right:.0f} % right with it)"
    return f"{told.source}: {calls}, {gains}{_worth(told.answer_weight)}; {_a_prompt(case.size)}"


def _worth(weight: float | None) -> str:
    return "" if weight is None or abs(weight - 1) < 0.05 else f", a right answer adds {weight:.2g} to the reward"


def _a_prompt(size: int | None) -> str:
    return "1 rollout a prompt, so that nothing is compared" if size == 1 else f"{size} rollouts a prompt"
