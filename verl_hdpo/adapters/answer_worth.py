"""``check_answer_worth``: whether right answers have the reward that ``priced`` takes them to have.

Its price is in answers, each worth ``answer_weight`` of reward. A reward function that gives 1 and -1 makes a right
answer worth 2; a price of 0.1 then asks 5 points of accuracy, not 10.
"""

from __future__ import annotations

import logging

from torch import Tensor

from verl_hdpo.outcomes.batch import Outcomes

logger = logging.getLogger(__name__)

FACTOR = 1.5
"""How far both may be apart: format, length and KL move the means a little."""
FEWEST = 8
"""Right rollouts, and wrong ones, below which a batch says nothing."""

_told: set[float] = set()


def check_answer_worth(rewards_B: Tensor, outcomes: Outcomes, answer_weight: float) -> None:
    """Warn, once in a process, where mean r (correct) - mean r (wrong) is not about ``answer_weight``.

    Args:
        rewards_B: r, verl's reward summed over tokens, (B,) float; those of unknown outcome do not count.
    """
    right_B, wrong_B = outcomes.correct_B, outcomes.known_B & ~outcomes.correct_B
    if answer_weight in _told or min(right_B.sum().item(), wrong_B.sum().item()) < FEWEST:
        return
    worth = (rewards_B[right_B].double().mean() - rewards_B[wrong_B].double().mean()).item()
    if answer_weight / FACTOR <= worth <= answer_weight * FACTOR:
        return
    _told.add(answer_weight)
    logger.warning(
        "a right answer adds %.3g to the reward in this batch, and priced takes it to add %g, so that the price asked "
        "is not the one set; set +algorithm.priced.answer_weight to what your reward function adds for a right answer",
        worth,
        answer_weight,
    )
