"""The price of a call of an algorithm by its name and settings."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from verl_hdpo.adapters.composed_config import parsed
from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.compare.pricing.simulation import AdvantagesOf, Conditions, price_of_a_call
from verl_hdpo.compare.variant import GRPO, Variant, VariantError
from verl_hdpo.settings.algorithms import ALGORITHMS, AlgorithmSettings, HDPOSettings, PricedSettings
from verl_hdpo.settings.group import SettingsError

HDPO = HDPOSettings.NAME
BY_STD = "algorithm.norm_adv_by_std_in_grpo"
BATCH_WIDE = ("sa_mrpo",)
"""Estimators by which the sign of a group's push depends on the other groups."""


class Chosen(NamedTuple):
    """What a variant sets: the estimator's name, its settings, and whether advantages are divided by a deviation."""

    name: str
    settings: AlgorithmSettings
    norm_by_std: bool = True

    @property
    def guarded(self) -> bool:
        """Whether a guard may lower the price, so that it is the highest that a call is asked."""
        return isinstance(self.settings, PricedSettings) and self.settings.guard

    def where_answers_add(self, weight: float | None) -> Chosen:
        """With ``weight`` for the ``answer_weight`` of ``priced``, unless it is set."""
        if weight is None or not isinstance(self.settings, PricedSettings) or self.settings.answer_weight is not None:
            return self
        return self._replace(settings=self.settings.model_copy(update={"answer_weight": weight}))


def price_of(chosen: Chosen, where: Conditions) -> float:
    """The price of an algorithm of this package; see :func:`price_of_a_call`."""
    chosen = chosen.where_answers_add(where.answer_weight)
    if where.answer_weight is None and isinstance(chosen.settings, PricedSettings):
        where = where._replace(answer_weight=chosen.settings.answer_weight)
    drawn = chosen.name in BATCH_WIDE or _per_correct(chosen.settings)
    return price_of_a_call(advantages_of(chosen), where, drawn)


def advantages_of(chosen: Chosen) -> AdvantagesOf:
    """Its advantages, both channels in one by their weights where there are two.

    With ``tool_loss_norm=qualifying`` A_tool is times (rollouts of known outcome) / (correct ones) of the batch:
    training counts their tokens, per mini-batch.
    """
    name, settings, norm_by_std = chosen

    def of(rollouts: RolloutScalars) -> Tensor:
        found = ESTIMATORS[name](rollouts, norm_by_std=norm_by_std, **settings.parameters)
        if not isinstance(settings, HDPOSettings):
            return found.accuracy_B
        share = rollouts.correct_B.sum().item() / max(rollouts.known_B.sum().item(), 1)
        scale = 1 / share if share and _per_correct(settings) else 1.0
        return found.weighted(settings.w_acc, settings.w_tool * scale)

    return of


def price_of_variant(variant: Variant, where: Conditions) -> float:
    """The price of one of :func:`own_variants`.

    Raises:
        VariantError, SettingsError: as of :func:`settings_of`.
    """
    return price_of(settings_of(variant), where)


def settings_of(variant: Variant) -> Chosen:
    """What is set; ``grpo`` is HDPO with ``w_tool=0``. Whole keys count too, as far as advantages depend on them.

    Raises:
        VariantError: a key outside the algorithm's group and ``algorithm.hdpo``, ``tool_costs``, or what is no value.
        SettingsError: a knob out of range.
    """
    name = variant.algorithm
    groups: dict[str, dict[str, Any]] = {group: {} for group in (HDPO, name) if group in ALGORITHMS}
    by_std: Any = True
    for key, value in variant.knobs:
        whole = key if "." in key else f"algorithm.{name}.{key}"
        try:
            found = parsed(f"++{whole}={value}").value()
        except Exception as error:  # whatever hydra's grammar raises
            raise VariantError(f"{variant.label}: {key}={value} cannot be read: {error}") from None
        root, group, *names = whole.split(".")
        if whole == BY_STD:
            by_std = found
        elif root == "algorithm" and group in groups and len(names) == 1 and names != ["tool_costs"]:
            groups[group][names[0]] = found
        else:
            raise VariantError(f"{variant.label}: {_no_part(whole, list(groups))}")
    if not isinstance(by_std, bool):
        raise SettingsError(f"{BY_STD} must be true or false, found {by_std!r}")
    hdpo = HDPOSettings.from_mapping(groups[HDPO])
    if name == GRPO:
        return Chosen(HDPO, HDPOSettings(w_tool=0), by_std)
    norm_by_std = by_std if hdpo.norm_by_std is None else hdpo.norm_by_std
    return Chosen(name, hdpo if name == HDPO else ALGORITHMS[name].from_mapping(groups[name]), norm_by_std)


def _no_part(key: str, groups: list[str]) -> str:
    if key.startswith("algorithm.hdpo.tool_costs"):
        return f"{key} is not read here: a call costs 1, or the --cost of verl-hdpo price; leave it out"
    known = [*(f"algorithm.{group}.<setting>" for group in groups), BY_STD]
    return f"{key} has no part in the advantages computed here; leave it out, or use {', '.join(known)}"


def _per_correct(settings: AlgorithmSettings) -> bool:
    """Whether the efficiency loss is an average over correct rollouts; with one loss there is none."""
    return isinstance(settings, HDPOSettings) and settings.tool_loss_norm == "qualifying" and settings.combine == "loss"
