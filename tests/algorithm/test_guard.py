"""The guard of ``priced``: planted drifts, noise, unknown outcomes, and a state that resumes exactly."""

from __future__ import annotations

import json
import random

import pytest

from verl_hdpo.algorithm.guard import RATE, RELEASE, Guard

MARGIN, WINDOW = 0.03, 4


def batch(chance, accuracy, prompts=6, size=16, spread=0.1, known=1.0):
    """Groups of a batch, of prompts that differ, with outcomes that may be unknown."""
    groups = []
    for _ in range(prompts):
        own = min(max(chance.gauss(accuracy, spread), 0), 1)
        groups.append([chance.random() < own for _ in range(size) if chance.random() < known])
    return groups


def factors(accuracies, chance=None, known=1.0, guard=None, **shape):
    guard = guard or Guard(MARGIN, WINDOW)
    found = []
    for accuracy in accuracies:
        exact = [[i < round(100 * accuracy) for i in range(100)]] * 40
        guard.observe({"s": exact if chance is None else batch(chance, accuracy, known=known, **shape)})
        found.append(guard.factor("s"))
    return found


def test_by_hand():
    """Level .8 over four batches at no price; .6 brings "now" to .7: short by .1, more than .03 and chance: mu = 2."""
    guard = Guard(MARGIN, WINDOW)
    assert factors([0.8] * 4, guard=guard) == [0, 0, 0, 0]
    assert factors([0.8], guard=guard) == [1]
    assert factors([0.6], guard=guard) == [pytest.approx(1 / (1 + RATE * 0.1))]
    # now = .65, short by .15: mu = 2 + 3
    assert factors([0.6], guard=guard) == [pytest.approx(1 / 6)]
    # now = .75, still short by .05: mu = 6; then .79, short by .01, less than half of the margin: at rest
    assert factors([0.85, 0.83], guard=guard) == [pytest.approx(1 / 7), pytest.approx(1 / (1 + 6 * (1 - RELEASE)))]
    assert guard.level("s") == pytest.approx(0.8 + 0.03 / 16)


def test_a_planted_fall_lowers_the_price_and_it_comes_back_after():
    for seed in range(20):
        chance = random.Random(seed)
        fall = [0.8] * 20 + [0.8 - 0.03 * step for step in range(1, 9)] + [0.56] * 4
        found = factors(fall + [0.8] * 150, chance)
        assert min(found[20:34]) < 0.25
        assert found[-1] > 4 * min(found)


def test_noise_does_not_trip_it():
    """Two hundred runs of sixty batches, of 96 answers each."""
    tripped = sum(min(factors([0.7] * 60, random.Random(seed))[WINDOW:]) < 1 for seed in range(200))
    assert tripped <= 6


@pytest.mark.parametrize("known", [0.9, 0.3])
def test_unknown_outcomes_do_not_trip_it(known):
    tripped = sum(min(factors([0.7] * 40, random.Random(seed), known=known)[WINDOW:]) < 1 for seed in range(60))
    assert tripped <= 3


def test_a_batch_without_a_known_outcome_changes_nothing():
    guard = Guard(MARGIN, WINDOW)
    factors([0.8] * 6 + [0.5], guard=guard)
    before = guard.state()
    guard.observe({"s": [[], []], "t": []})
    assert guard.state() == before and guard.factor("t") == 0


def test_perfect_answers_are_not_taken_for_certain():
    """One wrong answer in 32 after batches without a mistake is within chance."""
    guard = Guard(0.0, WINDOW)
    for _ in range(8):
        guard.observe({"s": [[True] * 16] * 2})
    guard.observe({"s": [[True] * 16, [True] * 15 + [False]]})
    assert guard.factor("s") == 1


def test_rising_accuracy_never_trips_and_raises_the_level():
    guard = Guard(MARGIN, WINDOW)
    assert set(factors([0.4 + 0.01 * step for step in range(40)], guard=guard)[WINDOW:]) == {1.0}
    assert guard.level("s") > 0.6


def test_each_source_has_its_own():
    guard = Guard(MARGIN, WINDOW)
    for step in range(12):
        steady, falling = [[i < 80 for i in range(100)]] * 20, [[i < 80 - 5 * step for i in range(100)]] * 20
        guard.observe({"steady": steady, "falling": falling})
    assert guard.factor("steady") == 1 and guard.factor("falling") < 0.2


@pytest.mark.parametrize("stop", [2, 5, 9, 15])
def test_it_resumes_exactly(stop):
    chance = random.Random(3)
    batches = [batch(chance, 0.8 - 0.02 * max(step - 6, 0)) for step in range(20)]
    whole, first, second = (Guard(MARGIN, WINDOW) for _ in range(3))
    expected = []
    for groups in batches:
        whole.observe({"s": groups})
        expected.append(whole.factor("s"))
    for groups in batches[:stop]:
        first.observe({"s": groups})
    second.restore(json.loads(json.dumps(first.state())))
    found = []
    for groups in batches[stop:]:
        second.observe({"s": groups})
        found.append(second.factor("s"))
    assert found == expected[stop:] and second.state() == whole.state()
    assert min(expected[WINDOW:]) < 0.5
