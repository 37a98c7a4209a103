"""Names and counts that verl looks up after the model is loaded, or passes over."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

from verl_hdpo.adapters.problem import Problem
from verl_hdpo.runs.verl_keys import MULTI_TURN, ROLLOUT

NAMES = {
    "trainer.resume_mode": ("auto", "disable", "resume_path"),  # trainer/ppo/v1/trainer_base.py
    "algorithm.rollout_correction.rollout_is": ("token", "sequence"),  # trainer/ppo/rollout_corr_helper.py
}
"""Setting -> the names that verl knows; null is none."""
SIDES = ("left", "middle", "right")


def late_names(config: DictConfig) -> Iterator[Problem]:
    """What ends the run."""
    for key, known in NAMES.items():
        name = OmegaConf.select(config, key)
        if name is not None and name not in known:
            yield Problem(f"{key}={name}: verl has no such choice", f"use one of {', '.join(known)}")
    if (number := OmegaConf.select(config, f"{ROLLOUT}.val_kwargs.n")) is not None and number < 1:
        yield Problem(f"{ROLLOUT}.val_kwargs.n={number}: a validation has no rollout", "set it to 1 or more")


def passed_over(config: DictConfig) -> Iterator[Problem]:
    """What verl takes for something else."""
    side = OmegaConf.select(config, f"{MULTI_TURN}.tool_response_truncate_side")
    if side is not None and side not in SIDES:
        found = (
            f"{MULTI_TURN}.tool_response_truncate_side={side}: verl cuts the middle out for any name it does not know"
        )
        yield Problem(found, f"use one of {', '.join(SIDES)}")
