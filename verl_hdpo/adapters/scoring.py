"""From the outcomes of a batch to its advantages, whoever hosts the step: read -> score -> write.

verl calls a registered estimator with rewards, response mask and prompt ids only. :class:`Scoring` knows the rest of
the batch; ``verl_hdpo.adapters.estimator`` hands it the rewards from inside verl's own advantage step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from verl_hdpo.adapters.answer_worth import check_answer_worth
from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.algorithm.decisions import Spans
from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.algorithm.scalars import Advantages, RolloutScalars
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.metrics import advantage_metrics
from verl_hdpo.outcomes.rollout_index import RolloutIndex
from verl_hdpo.settings.algorithms import PricedSettings


@dataclass(frozen=True)
class Rollouts:
    """The rollouts of one training batch: which rows they are, how they ended, and their ``data_source``.

    ``decisions`` are their decision spans, in a run that asks for them.
    """

    index: RolloutIndex
    outcomes: Outcomes
    sources: Sequence[str]
    decisions: Sequence[Spans] = ()


class Scoring:
    """The advantages of one batch; made before verl's advantage step, called once within it.

    Args:
        price_B: of ``priced``, the price of each rollout where a guard has set it, (B,).

    Attributes:
        advantages: both channels, once it was called.
        metrics: what is to be logged of them.
        cost_B: C, (B,) float64.

    Raises:
        OutcomeError: tools have costs, and a rollout comes without a ledger.
    """

    def __init__(self, rollouts: Rollouts, settings: RunSettings, price_B: Tensor | None = None):
        self._rollouts, self._settings = rollouts, settings
        self._price_B = price_B
        self.cost_B = rollouts.outcomes.cost(settings.hdpo)
        self.advantages: Advantages | None = None
        self.metrics: dict[str, float] = {}
        if settings.hdpo.tool_costs:
            self.metrics["tool_cost/mean"] = self.cost_B.mean().item()

    def __call__(self, rewards_R: Tensor) -> Tensor:
        """From verl's final rewards (after KL), summed over tokens, to the advantages of its own loss, both (R,)."""
        index, outcomes, settings = self._rollouts.index, self._rollouts.outcomes, self._settings
        assert settings.algorithm is not None, "a run that is only observed scores nothing"
        rewards_B = rewards_R[index.final_B].where(outcomes.known_B, 0.0)
        scalars = RolloutScalars(
            rewards_B, index.group_B, outcomes.known_B, outcomes.correct_B, self.cost_B, outcomes.format_ok_B
        )
        parameters = dict(settings.algorithm.parameters)
        if isinstance(settings.algorithm, PricedSettings):
            check_answer_worth(rewards_B, outcomes, parameters["answer_weight"])
        if self._price_B is not None:
            parameters["price"] = self._price_B
        self.advantages = found = ESTIMATORS[settings.name](scalars, norm_by_std=settings.norm_by_std, **parameters)
        if found.efficiency_B is not None:
            self.metrics |= advantage_metrics(rewards_B, found.accuracy_B, found.efficiency_B, index.group_B, outcomes)
        return index.spread(found.weighted(*settings.advantage_weights))
