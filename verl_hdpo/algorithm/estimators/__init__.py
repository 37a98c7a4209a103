"""The advantage estimators, one file per algorithm: name in ``algorithm.adv_estimator`` -> function.

Each is a pure function ``(RolloutScalars, *, norm_by_std, <its settings>) -> Advantages``. The settings under
``algorithm.<name>`` are ``verl_hdpo.settings.algorithms.ALGORITHMS[name]``; their fields are the keyword arguments.
"""

from __future__ import annotations

from collections.abc import Callable

from verl_hdpo.algorithm.estimators.adatir_style import adatir_style
from verl_hdpo.algorithm.estimators.dvao import dvao
from verl_hdpo.algorithm.estimators.eapo_style import eapo_style
from verl_hdpo.algorithm.estimators.gdpo_conditioned import gdpo_conditioned
from verl_hdpo.algorithm.estimators.grpo_penalty import grpo_penalty
from verl_hdpo.algorithm.estimators.hdpo import hdpo
from verl_hdpo.algorithm.estimators.ikea import ikea
from verl_hdpo.algorithm.estimators.otc import otc
from verl_hdpo.algorithm.estimators.priced import priced
from verl_hdpo.algorithm.estimators.sa_mrpo import sa_mrpo
from verl_hdpo.algorithm.estimators.slimsearcher_style import slimsearcher_style
from verl_hdpo.algorithm.estimators.tool_gdpo import tool_gdpo
from verl_hdpo.algorithm.estimators.turn_penalty import turn_penalty
from verl_hdpo.algorithm.scalars import Advantages

Estimator = Callable[..., Advantages]

ESTIMATORS: dict[str, Estimator] = {
    "hdpo": hdpo,
    "priced": priced,
    "grpo_penalty": grpo_penalty,
    "tool_gdpo": tool_gdpo,
    "gdpo_conditioned": gdpo_conditioned,
    "otc": otc,
    "ikea": ikea,
    "slimsearcher_style": slimsearcher_style,
    "adatir_style": adatir_style,
    "dvao": dvao,
    "sa_mrpo": sa_mrpo,
    "eapo_style": eapo_style,
    "turn_penalty": turn_penalty,
}
