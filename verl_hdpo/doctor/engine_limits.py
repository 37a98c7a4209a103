"""Numbers that a rollout engine refuses when it starts, minutes after the run did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from verl_hdpo.adapters.problem import Problem
from verl_hdpo.runs.verl_keys import ROLLOUT


class Limit(NamedTuple):
    """What a number must be, and in words."""

    allows: Callable[[float], bool]
    words: str


SHARE = Limit(lambda value: 0 < value <= 1, "above 0 and at most 1")
LIMITS = {
    "gpu_memory_utilization": SHARE,
    "top_p": SHARE,
    "top_k": Limit(lambda value: value >= -1, "-1, for all tokens, or 1 or more"),
    "temperature": Limit(lambda value: value >= 0, "0 or more"),
}
"""As vLLM has it (vllm/sampling_params.py, vllm/config/cache.py); SGLang's are the same."""


def engine_limits(config: DictConfig) -> Iterator[Problem]:
    """Numbers out of the bounds of vLLM and SGLang, in training and in validation."""
    for group in (ROLLOUT, f"{ROLLOUT}.val_kwargs"):
        for name, limit in LIMITS.items():
            value = OmegaConf.select(config, f"{group}.{name}")
            if isinstance(value, int | float) and not limit.allows(value):
                yield Problem(f"{group}.{name}={value}: the rollout engine refuses it", f"it must be {limit.words}")
