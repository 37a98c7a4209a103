"""The price of a call of an algorithm by its name and settings."""

from __future__ import annotations

from collections.abc import Mapping

import yaml
from torch import Tensor

from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.compare.pricing.simulation import AdvantagesOf, price_of_a_call
from verl_hdpo.compare.variant import GRPO, Variant
from verl_hdpo.settings.algorithms import ALGORITHMS, AlgorithmSettings, HDPOSettings

BATCH_WIDE = ("sa_mrpo",)
"""Estimators by which the sign of a group's push depends on the other groups."""


def price_of(
    name: str,
    settings: AlgorithmSettings,
    right: float,
    use: float,
    size: int,
    norm_by_std: bool = True,
    answer_weight: float = 1.0,
) -> float:
    """The price of an algorithm of this package; see :func:`price_of_a_call`."""
    advantages = advantages_of(name, settings, norm_by_std)
    return price_of_a_call(advantages, right, use, size, name in BATCH_WIDE, answer_weight)


def advantages_of(name: str, settings: AlgorithmSettings, norm_by_std: bool = True) -> AdvantagesOf:
    """Its advantages, both channels in one by their weights where there are two."""

    def of(rollouts: RolloutScalars) -> Tensor:
        found = ESTIMATORS[name](rollouts, norm_by_std=norm_by_std, **settings.parameters)
        if not isinstance(settings, HDPOSettings):
            return found.accuracy_B
        return found.weighted(settings.w_acc, settings.w_tool)

    return of


def price_of_variant(variant: Variant, right: float, use: float, size: int) -> float:
    """The price of one of :func:`own_variants`; ``grpo`` is HDPO with ``w_tool=0``.

    Raises:
        SettingsError: a knob out of range.
    """
    name, settings = settings_of(variant)
    norm_by_std = getattr(settings, "norm_by_std", None) is not False
    return price_of(name, settings, right, use, size, norm_by_std)


def settings_of(variant: Variant) -> tuple[str, AlgorithmSettings]:
    """The estimator's name and its settings.

    Raises:
        SettingsError: a knob out of range.
    """
    if variant.algorithm == GRPO:
        return HDPOSettings.NAME, HDPOSettings(w_tool=0)
    knobs: Mapping[str, object] = {key: yaml.safe_load(value) for key, value in variant.knobs if "." not in key}
    return variant.algorithm, ALGORITHMS[variant.algorithm].from_mapping(knobs)
