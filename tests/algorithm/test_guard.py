"""The guard of ``priced``: planted drifts, noise, unknown outcomes, training to the end, and resuming exactly."""

from __future__ import annotations

import json
import math
import random

import pytest
import torch

from verl_hdpo.algorithm.estimators.priced import priced
from verl_hdpo.algorithm.guard import MOST, RATE, RELEASE, Guard
from verl_hdpo.algorithm.scalars import RolloutScalars

MARGIN, WINDOW = 0.03, 4


def batch(chance, use, right, direct, prompts=6, size=16, spread=0.1, known=1.0):
    """Groups of prompts that differ, whose rollouts call with probability ``use``; outcomes may be unknown."""
    groups = []
    for _ in range(prompts):
        harder = chance.gauss(0, spread)
        calls = [chance.random() < use for _ in range(size)]
        rows = [(call, chance.random() < (right if call else direct) + harder) for call in calls]
        groups.append([row for row in rows if chance.random() < known])
    return groups


def prices(batches, guard=None, asked=1.0):
    guard = guard or Guard(MARGIN, WINDOW)
    found = []
    for groups in batches:
        guard.observe({"s": groups})
        found.append(guard.price("s", asked))
    return found


def tripped(batches):
    """Whether accuracy ever was taken to have fallen."""
    guard = Guard(MARGIN, WINDOW)
    for groups in batches:
        guard.observe({"s": groups})
        if guard.state()["s"]["mu"]:
            return True
    return False


def exact(accuracy, calls=True):
    """Many prompts of 100 that all call, or not, with exactly that accuracy."""
    return [[(calls, i < round(100 * accuracy)) for i in range(100)]] * 40


def test_by_hand_where_accuracy_falls():
    """Level .8 over four batches at no price, and a rise over four. Then .6 brings n to .7: short by .1, mu = 4."""
    guard = Guard(MARGIN, WINDOW)
    assert prices([exact(0.8)] * 8, guard) == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1]
    assert prices([exact(0.6)], guard) == [pytest.approx(1 / (1 + RATE * 0.1))]
    # At work the level follows by 1 %: .798. n = .65, short by .148: mu = 4 + 5.92
    assert prices([exact(0.6)], guard) == [pytest.approx(1 / 10.92)]
    # The level is .79602 and n = .75: mu = 9.92 + 1.8408. Then .79656 and .79, less than half of the margin: at rest.
    assert prices([exact(0.85), exact(0.83)], guard) == [
        pytest.approx(1 / 12.7608), pytest.approx(1 / (1 + 11.7608 * (1 - RELEASE))),
    ]  # fmt: skip
    assert guard.level("s") == pytest.approx(0.79656 + (0.83 - 0.79656) / 16, abs=1e-5)


def test_a_fall_that_lasts_becomes_the_level_and_the_price_comes_back():
    guard = Guard(MARGIN, WINDOW)
    found = prices([exact(0.8)] * 12 + [exact(0.6)] * 800, guard, asked=0.8)
    assert min(found[12:]) == pytest.approx(0.8 / (1 + MOST)) and found[-1] == pytest.approx(0.8, rel=0.1)
    assert guard.level("s") == pytest.approx(0.6, abs=MARGIN)


def mixed(right=3, cost=1.0):
    """50 prompts: four calls, ``right`` of them right, and four answers without, one of them right; w = 2 a prompt."""
    return [[(cost, n < right) for n in range(4)] + [(0.0, n < 1) for n in range(4)]] * 50


def test_by_hand_where_calls_gain():
    """g = 3/4 - 1/4 and u = 1/2: the price is at most half of g, and per unit of cost."""
    assert prices([mixed()] * 12) == pytest.approx([0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25, *[0.25] * 4])
    assert prices([mixed()] * 12, asked=0.1) == pytest.approx([0, 0, 0, 0, 0.025, 0.05, 0.075, 0.1, *[0.1] * 4])
    assert prices([mixed(cost=5.0)] * 8)[-1] == pytest.approx(0.05)


def test_by_hand_what_is_at_stake():
    """u (g + e / 2), its error e from a weight of 100 a batch, of which a sixteenth is forgotten."""
    weight = sum((15 / 16) ** k for k in range(12)) * 100
    stake = 0.5 * (0.5 + 0.25 / math.sqrt(weight))
    assert prices([mixed()] * 12, Guard(stake - 1e-6, WINDOW))[-1] == pytest.approx(0.25)
    assert prices([mixed()] * 12, Guard(stake + 1e-6, WINDOW))[-1] == 1


def test_by_hand_where_all_call_and_more_calls_gain():
    """One call is right in 1 of 4, three calls in 3 of 4: 1/4 a call, and 1/2 if two calls of three are given up."""
    answers = [(3.0, n < 3) for n in range(4)] + [(1.0, n < 1) for n in range(4)]
    assert prices([[answers] * 50] * 8)[-1] == pytest.approx(0.125)


def test_calls_that_do_harm_have_the_whole_price():
    assert prices([mixed(right=0)] * 8)[-1] == 1


def test_as_long_as_little_is_known_of_calls_no_price_is_asked():
    """g = 0 of 2 prompts, and what is at stake is its error."""
    assert prices([[[(1.0, True), (0.0, True)]] * 2] * 8)[-1] == 0


def test_a_fall_that_is_no_call_s_doing_lowers_the_price_and_it_comes_back_after():
    for seed in range(20):
        chance = random.Random(seed)
        whole = [batch(chance, 1, 0.8, 0) for _ in range(20)]
        fall = [batch(chance, 1, 0.8 - 0.05 * step, 0) for step in range(1, 9)]
        back = [batch(chance, 1, 0.8, 0) for _ in range(150)]
        found = prices(whole + fall + back)
        assert min(found[20:30]) < 0.3
        assert found[-1] > 3 * min(found)


@pytest.mark.parametrize("spread", [0.1, 0.4])
@pytest.mark.parametrize("prompts", [1, 2, 6, 16])
def test_noise_does_not_trip_it(prompts, spread):
    """Forty runs of sixty batches, with tool use and accuracy that stay what they are; prompts may differ much."""
    runs = (
        [batch(chance, 0.6, 0.7, 0.6, prompts, spread=spread) for _ in range(60)]
        for chance in map(random.Random, range(40))
    )
    assert sum(map(tripped, runs)) <= 4


@pytest.mark.parametrize("known", [0.9, 0.3])
def test_unknown_outcomes_do_not_trip_it(known):
    runs = ([batch(chance, 0.6, 0.8, 0.6, known=known) for _ in range(40)] for chance in map(random.Random, range(60)))
    assert sum(map(tripped, runs)) <= 3


def test_calls_that_gain_nothing_may_go():
    """At first what they gain is not known well enough; once it is, the whole price is asked."""
    for seed in range(20):
        chance = random.Random(seed)
        found = prices([batch(chance, max(0.9 - 0.05 * step, 0.02), 0.8, 0.8) for step in range(40)])
        assert sum(x == 1 for x in found) > 10


def test_a_batch_without_a_known_outcome_changes_nothing():
    guard = Guard(MARGIN, WINDOW)
    prices([exact(0.8)] * 9 + [exact(0.5)], guard)
    before = guard.state()
    guard.observe({"s": [[], []], "t": []})
    assert guard.state() == before and guard.price("t", 1.0) == 0 and guard.level("t") is None


def test_perfect_answers_are_not_taken_for_certain():
    """One wrong answer in 32 after batches without a mistake is within chance."""
    guard = Guard(0.0, WINDOW)
    prices([[[(True, True)] * 16] * 2] * 8, guard)
    assert prices([[[(True, True)] * 16, [(True, True)] * 15 + [(True, False)]]], guard) == [1]


def test_rising_accuracy_never_trips_and_raises_the_level():
    guard = Guard(MARGIN, WINDOW)
    assert set(prices([exact(0.4 + 0.01 * step) for step in range(40)], guard)[2 * WINDOW :]) == {1.0}
    assert guard.level("s") > 0.6


def test_each_source_has_its_own():
    guard = Guard(MARGIN, WINDOW)
    for step in range(14):
        guard.observe({"steady": exact(0.8), "falling": exact(0.8 - 0.05 * step)})
    assert guard.price("steady", 1.0) == 1 and guard.price("falling", 1.0) < 0.2


@pytest.mark.parametrize("stop", [2, 5, 9, 15])
def test_it_resumes_exactly(stop):
    chance = random.Random(3)
    batches = [batch(chance, 0.9 - 0.05 * max(step - 6, 0), 0.8, 0.4) for step in range(20)]
    whole, first, second = (Guard(MARGIN, WINDOW) for _ in range(3))
    expected = prices(batches, whole)
    prices(batches[:stop], first)
    second.restore(json.loads(json.dumps(first.state())))
    assert prices(batches[stop:], second) == expected[stop:] and second.state() == whole.state()
    assert min(expected[2 * WINDOW :]) < 0.5


def trained(seed, price, guarded, fewer=0.0, more=1.0, steps=60, right=0.8, direct=0.53, rate=3.0):
    """Accuracy at the end of training a policy of one number, its logit to call more, by ``priced`` on 5 prompts of 16.

    ``more`` calls are right in 80 %, ``fewer`` in 53 %.
    """
    chance, guard, logit = random.Random(seed), Guard(MARGIN, WINDOW), 1.1
    for _ in range(steps):
        use = 1 / (1 + math.exp(-logit))
        groups = batch(chance, use, right, direct, prompts=5, spread=0.2)
        guard.observe({"s": [[(more if called else fewer, correct) for called, correct in group] for group in groups]})
        called, correct = (torch.tensor([row[k] for group in groups for row in group]) for k in (0, 1))
        cost = fewer + (more - fewer) * called.double()
        rollouts = RolloutScalars(
            correct.float(), torch.arange(5).repeat_interleave(16), torch.ones_like(correct), correct, cost
        )
        asked = guard.price("s", price) if guarded else price
        pushed = priced(rollouts, price=asked).accuracy_B * (called.float() - use)
        logit = min(max(logit + rate * pushed.mean().item(), -6), 6)
    use = 1 / (1 + math.exp(-logit))
    return use * right + (1 - use) * direct


@pytest.mark.parametrize(("fewer", "more", "price"), [(0.0, 1.0, 0.8), (1.0, 3.0, 0.4)])
def test_with_an_over_strong_price_training_ends_within_two_points_of_none(fewer, more, price):
    """A price of 80 points on calls that gain 27, over ten seeds; without the guard it loses them all."""
    none, guarded, bare = (
        sum(trained(seed, price, on, fewer, more) for seed in range(10)) / 10
        for price, on in ((0.0, False), (price, True), (price, False))
    )
    assert none > 0.78 and guarded > none - 0.02 and bare < none - 0.2
