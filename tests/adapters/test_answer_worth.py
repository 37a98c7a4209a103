"""A warning where a right answer is worth another reward than ``priced`` takes it to be, once."""

from __future__ import annotations

import logging

import pytest
import torch
from composed import composed

from verl_hdpo.adapters import answer_worth
from verl_hdpo.adapters.run_settings import run_settings
from verl_hdpo.adapters.scoring import Rollouts, Scoring
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.rollout_index import RolloutIndex


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(answer_worth, "_told", set())


def score(rewards, right, known=None, *overrides, estimator="priced"):
    """One batch of a run, rewards and outcomes in groups of four."""
    config = composed("actor_rollout_ref.rollout.n=4", f"algorithm.adv_estimator={estimator}", *overrides)
    known_B = torch.ones(len(right), dtype=torch.bool) if known is None else torch.tensor(known)
    correct_B = torch.tensor(right) & known_B
    outcomes = Outcomes(known_B, correct_B, torch.zeros(len(right), dtype=torch.int64), [None] * len(right))
    keys = [f"{number // 4}_{number}_0" for number in range(len(right))]
    rollouts = Rollouts(RolloutIndex.from_keys(keys, [False] * len(right)), outcomes, ["s"] * len(right))
    Scoring(rollouts, run_settings(config))(torch.tensor(rewards))


RIGHT = [True, False] * 8
SIGNED = [1.0, -1.0] * 8


def test_a_reward_of_plus_and_minus_1_is_told_once(caplog):
    with caplog.at_level(logging.WARNING):
        score(SIGNED, RIGHT)
        score(SIGNED, RIGHT)
    (record,) = caplog.records
    text = record.getMessage()
    assert "a right answer adds 2 to the reward in this batch, and priced takes it to add 1" in text
    assert "set +algorithm.priced.answer_weight to" in text


@pytest.mark.parametrize(
    ("rewards", "right", "known", "overrides", "estimator"),
    [
        ([1.0, 0.0] * 8, RIGHT, None, (), "priced"),
        ([0.95, 0.1] * 8, RIGHT, None, (), "priced"),
        (SIGNED, RIGHT, None, ("+algorithm.priced.answer_weight=2",), "priced"),
        ([0.9, 0.0] * 8, RIGHT, None, ("reward.reward_manager.name=hdpo",), "priced"),
        (SIGNED, RIGHT, None, (), "grpo_penalty"),
        # Seven right ones are too few to tell, and so are eight of which one is of unknown outcome
        (SIGNED[:14], RIGHT[:14], None, (), "priced"),
        (SIGNED, RIGHT, [True] * 15 + [False], (), "priced"),
        ([1.0] * 16, [True] * 16, None, (), "priced"),
    ],
)
def test_nothing_is_told_of(rewards, right, known, overrides, estimator, caplog):
    with caplog.at_level(logging.WARNING):
        score(rewards, right, known, *overrides, estimator=estimator)
    assert not caplog.records


@pytest.mark.parametrize("rewards", [[0.5, 0.0] * 8, [0.0, 0.0] * 8, [0.0, 1.0] * 8, [9.0, 0.0] * 8])
def test_less_nothing_and_the_contrary_are_told(rewards, caplog):
    with caplog.at_level(logging.WARNING):
        score(rewards, RIGHT)
    assert len(caplog.records) == 1
