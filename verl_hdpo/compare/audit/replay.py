"""``Replay``: the advantages that algorithms give to rollouts that are on disk, by the estimators that train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from verl_hdpo.algorithm.advantages import EPS
from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.compare.pricing.algorithm import advantages_of, settings_of
from verl_hdpo.compare.pricing.measured import answer_weight
from verl_hdpo.compare.variant import Variant
from verl_hdpo.evaluation.dumps.rollout import Rollout


class AuditError(ValueError):
    """What was asked for cannot be computed; the message says why and what to do."""


@dataclass
class Replay:
    """Advantages by rollout id.

    Attributes:
        by_algorithm: of each algorithm's label, both channels in one by their weights.
        accuracy, efficiency: HDPO's two channels, unweighted.
    """

    by_algorithm: dict[str, dict[str, float]] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    efficiency: dict[str, float] = field(default_factory=dict)

    def sign(self, label: str, one: Rollout) -> int:
        """1 if ``one`` is pushed up, -1 if down, 0 if not at all."""
        return sign(self.by_algorithm[label][one.id])


def sign(advantage: float) -> int:
    """That of an advantage; 0 within rounding."""
    return (advantage > EPS) - (advantage < -EPS)


def scalars_of(rollouts: Sequence[Rollout]) -> RolloutScalars:
    """A batch as an estimator is given it. C is T: a dump does not say what ``tool_costs`` were."""
    numbers: dict[str, int] = {}
    known_B = torch.tensor([one.known for one in rollouts])
    formats = [one.extras.get("format") for one in rollouts]
    has_format = all(isinstance(value, int | float) for value in formats)
    return RolloutScalars(
        rewards_B=torch.tensor([one.answer_reward for one in rollouts], dtype=torch.float32),
        group_B=torch.tensor([numbers.setdefault(one.group, len(numbers)) for one in rollouts]),
        known_B=known_B,
        correct_B=known_B & torch.tensor([one.outcome == "correct" for one in rollouts]),
        cost_B=torch.tensor([float(one.calls or 0) for one in rollouts], dtype=torch.float64),
        format_ok_B=torch.tensor([bool(value) for value in formats]) if has_format else None,
    )


def replay(rollouts: Sequence[Rollout], variants: Sequence[Variant]) -> Replay:
    """The advantages of rollouts whose calls are known; those of one file and step are a batch.

    Raises:
        AuditError: an algorithm needs what the dump does not have.
        VariantError, SettingsError: an algorithm that there is not, or a knob out of range.
    """
    batches: dict[tuple[str, int | None], list[Rollout]] = {}
    for one in rollouts:
        batches.setdefault((one.file, one.step), []).append(one)
    weight = answer_weight([one for one in rollouts if one.known])
    chosen = {variant.label: settings_of(variant).where_answers_add(weight) for variant in variants}
    estimators = {label: advantages_of(of) for label, of in chosen.items()}
    made = Replay({label: {} for label in estimators})
    for batch in batches.values():
        scalars, ids = scalars_of(batch), [one.id for one in batch]
        for label, advantages in estimators.items():
            try:
                found_B = advantages(scalars)
            except ValueError as error:
                raise AuditError(f"{label} cannot be replayed: {error}") from None
            made.by_algorithm[label].update(zip(ids, found_B.tolist(), strict=True))
        accuracy_B, efficiency_B = ESTIMATORS["hdpo"](scalars)
        assert efficiency_B is not None
        made.accuracy.update(zip(ids, accuracy_B.tolist(), strict=True))
        made.efficiency.update(zip(ids, efficiency_B.tolist(), strict=True))
    return made
