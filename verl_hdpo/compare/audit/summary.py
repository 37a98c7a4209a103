"""``SourceAudit``: what the rollouts of one data source did, and what each algorithm makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from verl_hdpo.compare.audit.defects import EXAMPLES
from verl_hdpo.compare.audit.replay import Replay, sign
from verl_hdpo.compare.pricing.measured import Case, case_of
from verl_hdpo.compare.pricing.report import price_in
from verl_hdpo.compare.variant import Variant
from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.evaluation.dumps.siblings import by_group, call_needs


@dataclass(frozen=True)
class Found:
    """Rollouts, or groups, with a trait: how many, and ids of some."""

    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class AlgorithmAudit:
    """One algorithm on one source.

    Attributes:
        label: of the algorithm with its knobs.
        up, down: rollouts with a positive and with a negative advantage.
        against_grpo: rollouts that it pushes one way and GRPO the other.
        needless_down: of the needless calls, those that it pushes down.
        silent_groups: groups in which no rollout has an advantage.
        price: of a call, as a share of right answers; inf where no call gains enough, None where the rollouts do not
            tell: none called, or groups of one.
    """

    label: str
    up: int
    down: int
    against_grpo: Found
    needless_down: int
    silent_groups: int
    price: float | None


@dataclass(frozen=True)
class SourceAudit:
    """One data source.

    Attributes:
        rollouts, groups: how many.
        unknown: rollouts of unknown outcome, those that failed among them.
        uncounted: rollouts whose calls nothing tells; they are not replayed.
        tool_use: share of the others that called.
        case: p1, p0, u and n, over those of known outcome; None where there are none.
        needless, missed: calls, as ``verl_hdpo.evaluation.dumps.siblings`` defines them.
        without_accuracy, without_efficiency, without_any: groups in which HDPO's channels are 0 for all.
        disputed: rollouts that one of the algorithms pushes up and another down.
        algorithms: each of them.
    """

    source: str
    rollouts: int
    groups: int
    unknown: int
    uncounted: int
    tool_use: float
    case: Case | None
    needless: Found
    missed: Found
    without_accuracy: Found
    without_efficiency: Found
    without_any: Found
    disputed: Found
    algorithms: tuple[AlgorithmAudit, ...]


def audit_source(
    source: str, rollouts: Sequence[Rollout], made: Replay, variants: Sequence[Variant], reference: str
) -> SourceAudit:
    """Sum up one source.

    Args:
        reference: label of GRPO in ``made``.
    """
    counted = [one for one in rollouts if one.calls is not None]
    groups = by_group(counted)
    needs = {one.id: need for group in groups for one, need in zip(group, call_needs(group), strict=True)}
    needless = [one for one in counted if needs[one.id] == "needless"]
    certain = [one for one in counted if one.known]
    case = case_of(source, certain) if certain else None

    def silent(*channels: dict[str, float]) -> list[Rollout]:
        return [group[0] for group in groups if not any(sign(channel[one.id]) for channel in channels for one in group)]

    def of_algorithm(variant: Variant) -> AlgorithmAudit:
        label = variant.label
        signs = [made.sign(label, one) for one in counted]
        against = [one for one in counted if made.sign(label, one) * made.sign(reference, one) < 0]
        return AlgorithmAudit(
            label,
            up=signs.count(1),
            down=signs.count(-1),
            against_grpo=_found(against),
            needless_down=sum(made.sign(label, one) < 0 for one in needless),
            silent_groups=len(silent(made.by_algorithm[label])),
            price=_price(variant, case),
        )

    def is_disputed(one: Rollout) -> bool:
        return {1, -1} <= {made.sign(variant.label, one) for variant in variants}

    return SourceAudit(
        source,
        rollouts=len(rollouts),
        groups=len(by_group(rollouts)),
        unknown=sum(not one.known for one in rollouts),
        uncounted=len(rollouts) - len(counted),
        tool_use=sum(bool(one.calls) for one in counted) / len(counted) if counted else math.nan,
        case=case,
        needless=_found(needless),
        missed=_where(counted, lambda one: needs[one.id] == "missed"),
        without_accuracy=_found(silent(made.accuracy)),
        without_efficiency=_found(silent(made.efficiency)),
        without_any=_found(silent(made.accuracy, made.efficiency)),
        disputed=_where(counted, is_disputed),
        algorithms=tuple(map(of_algorithm, variants)),
    )


def _price(variant: Variant, case: Case | None) -> float | None:
    return None if case is None else price_in(variant, case)


def _where(rollouts: Sequence[Rollout], has: Callable[[Rollout], bool]) -> Found:
    return _found([one for one in rollouts if has(one)])


def _found(rollouts: Sequence[Rollout]) -> Found:
    return Found(len(rollouts), tuple(one.id for one in rollouts[:EXAMPLES]))
