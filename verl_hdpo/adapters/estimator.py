"""This package's estimators in verl's registry, by the names that ``algorithm.adv_estimator`` takes.

verl calls an estimator with rewards, response mask and prompt ids only
(``compute_advantage`` in verl/trainer/ppo/ray_trainer.py): not with tool calls, outcomes or sessions. The HDPO-aware
trainer provides those by :func:`scoring` around verl's call; under any other trainer the estimators raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor
from verl.trainer.ppo.core_algos import register_adv_est

from verl_hdpo.algorithm.estimators import ESTIMATORS

Score = Callable[[Tensor], Tensor]
"""From the rewards of R rows, summed over tokens (R,), to their advantages (R,)."""

_score: ContextVar[Score | None] = ContextVar("hdpo_score", default=None)


@contextmanager
def scoring(score: Score) -> Iterator[None]:
    """Let the estimator use ``score`` for the duration of verl's own advantage step."""
    token = _score.set(score)
    try:
        yield
    finally:
        _score.reset(token)


def _register(name: str) -> None:
    @register_adv_est(name)
    def advantage(
        token_level_rewards: Tensor, response_mask: Tensor, index: Any = None, config: Any = None, **_: Any
    ) -> tuple[Tensor, Tensor]:
        """The score of each row, broadcast over the response mask: (advantages, returns), each (rows, response length).

        Raises:
            RuntimeError: called by a trainer that is not HDPO-aware.
        """
        score = _score.get()
        if score is None:
            raise RuntimeError(
                f"algorithm.adv_estimator={name} was called by a trainer that does not know HDPO and its rivals, and "
                f"so tells it nothing of tool calls and outcomes. Use python -m verl.trainer.main_ppo, whose trainers "
                f"know it, and install verl-hdpo on every node."
            )
        advantages = score(token_level_rewards.sum(dim=-1)).unsqueeze(-1) * response_mask
        return advantages, advantages


for _name in ESTIMATORS:
    _register(_name)
