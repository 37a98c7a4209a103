"""Whether a rollout failed, and whether training took its reward."""

from __future__ import annotations

from dataclasses import replace

from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.settings.algorithms import ALGORITHMS

ERRORS = ("error", "exception", "reward_error")
"""Columns in which rewards and loops report what ended a rollout."""


def settled(one: Rollout) -> Rollout:
    """``one``, of outcome ``lost`` if an error is in its columns, or a tool that it called was not available."""
    error = next((str(one.extras[key]) for key in ERRORS if one.extras.get(key)), "")
    if one.ledger and one.ledger.unavailable:
        error = error or "tool unavailable"
    return replace(one, outcome="lost", lost=one.lost or error) if error else one


def scored(one: Rollout) -> bool:
    """Whether its reward was trained on, as far as its file says.

    An algorithm of this package leaves out what is of unknown outcome; the file of any other says nothing of that.
    """
    left_out = one.estimator in ALGORITHMS and not one.advantage and not one.tool_advantage
    return one.phase != "validation" and one.reward is not None and (one.known or not left_out)
