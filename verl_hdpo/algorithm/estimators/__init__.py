"""The advantage estimators: name in ``algorithm.adv_estimator`` -> settings under ``algorithm.<name>``, and function.

Each is a pure function of ``RolloutScalars``, one file per algorithm. How outcomes are read and calls counted is said
under ``algorithm.hdpo`` for all of them (``verl_hdpo.settings.hdpo``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from verl_hdpo.algorithm.estimators.adatir_style import AdaTIRSettings, adatir_style
from verl_hdpo.algorithm.estimators.gdpo_conditioned import GDPOConditionedSettings, gdpo_conditioned
from verl_hdpo.algorithm.estimators.grpo_penalty import GRPOPenaltySettings, grpo_penalty
from verl_hdpo.algorithm.estimators.hdpo import hdpo
from verl_hdpo.algorithm.estimators.ikea import IKEASettings, ikea
from verl_hdpo.algorithm.estimators.otc import OTCSettings, otc
from verl_hdpo.algorithm.estimators.slimsearcher_style import SlimSearcherSettings, slimsearcher_style
from verl_hdpo.algorithm.estimators.tool_gdpo import GDPOSettings, tool_gdpo
from verl_hdpo.settings.group import AlgorithmSettings
from verl_hdpo.settings.hdpo import HDPOConfig


class Estimator(NamedTuple):
    """One row of the table.

    Attributes:
        settings: the dataclass under ``algorithm.<name>``.
        advantages: ``(RolloutScalars, settings, norm_by_std)`` -> (B,) advantages; ``hdpo`` alone gives two.
        uses_reward: whether r_acc counts; if not, correctness (and format) make a reward of its own.
    """

    settings: type[AlgorithmSettings]
    advantages: Callable[..., Tensor | tuple[Tensor, Tensor]]
    uses_reward: bool = True


ESTIMATORS: dict[str, Estimator] = {
    "hdpo": Estimator(HDPOConfig, hdpo),
    "grpo_penalty": Estimator(GRPOPenaltySettings, grpo_penalty),
    "tool_gdpo": Estimator(GDPOSettings, tool_gdpo),
    "gdpo_conditioned": Estimator(GDPOConditionedSettings, gdpo_conditioned),
    "otc": Estimator(OTCSettings, otc),
    "ikea": Estimator(IKEASettings, ikea, uses_reward=False),
    "slimsearcher_style": Estimator(SlimSearcherSettings, slimsearcher_style, uses_reward=False),
    "adatir_style": Estimator(AdaTIRSettings, adatir_style),
}
