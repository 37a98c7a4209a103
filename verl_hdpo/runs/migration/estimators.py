"""What ``algorithm.adv_estimator=hdpo`` changes beside adding the efficiency channel: the accuracy part is GRPO's."""

from __future__ import annotations

SAME = ("grpo", "grpo_vectorized")
"""Estimators whose advantage HDPO's accuracy channel is; with ``+algorithm.hdpo.w_tool=0`` nothing else is left."""

_GRPO = "HDPO's accuracy part is GRPO's: reward minus the group's mean, over its standard deviation"

CHANGED: dict[str, str] = {
    "gae": f"{_GRPO}; there is no critic",
    "rloo": f"{_GRPO}, and not minus the mean of the others",
    "rloo_vectorized": f"{_GRPO}, and not minus the mean of the others",
    "gpg": f"{_GRPO}, and not scaled by the share of groups with a signal",
    "reinforce_plus_plus": f"{_GRPO}, and not whitened over the batch",
    "reinforce_plus_plus_baseline": f"{_GRPO}, and not whitened over the batch",
    "remax": f"{_GRPO}, and not minus the reward of a greedy rollout",
    "opo": f"{_GRPO}, and not minus a mean weighted by length",
    "grpo_passk": f"{_GRPO} for every rollout, and not for the best of the group alone",
    "optimal_token_baseline": f"{_GRPO}, the same for every token",
    "tir_optimal_token_baseline": f"{_GRPO}, the same for every token",
    "gdpo": f"{_GRPO}; verl's gdpo cannot run on the V1 trainer, tool_gdpo can",
}
"""Estimator of verl's -> what becomes of its advantage."""
