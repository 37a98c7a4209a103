"""``grpo_penalty``: GRPO on one mixed reward, the design that HDPO's paper argues against (arXiv 2604.08545)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor

from verl_hdpo.algorithm.advantages import tool_efficiency
from verl_hdpo.algorithm.estimators.group_relative import grpo
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.settings.group import AlgorithmSettings

Form = Literal["inverse", "linear"]


@dataclass(frozen=True)
class GRPOPenaltySettings(AlgorithmSettings):
    """Settings of ``grpo_penalty``.

    Attributes:
        a: strength of the tool term, >= 0; 0 is GRPO.
        form: ``inverse``, + a/(C + 1), or ``linear``, - a C.
        gated: give the term to correct rollouts only.
    """

    GROUP: ClassVar[str] = "grpo_penalty"
    EXAMPLE: ClassVar[str] = "a=0.15"

    a: float = 0.15
    form: Form = "inverse"
    gated: bool = False

    def __post_init__(self) -> None:
        self._require_at_least_0("a")
        self._require_one_of("form", get_args(Form))
        self._require(self.gated in (True, False), "gated", "true or false")


def grpo_penalty(rollouts: RolloutScalars, settings: GRPOPenaltySettings, norm_by_std: bool = True) -> Tensor:
    """GRPO on R = r_acc + a g / (C + 1), or r_acc - a g C; g is 1, or whether the rollout is correct if ``gated``.

    Source: https://arxiv.org/abs/2604.08545, where it is the coupled reward.

    Returns:
        (B,) float32; 0 for rollouts of unknown outcome.
    """
    term_B = tool_efficiency(rollouts.cost_B) if settings.form == "inverse" else -rollouts.cost_B.double()
    if settings.gated:
        term_B = term_B * rollouts.correct_B
    return grpo(rollouts, rollouts.rewards_B.double() + settings.a * term_B, norm_by_std)
