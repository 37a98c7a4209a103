"""``priced``: by hand, and the sign of what it teaches against gain less price."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from verl_hdpo.algorithm.estimators.priced import _shares, priced
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.compare.pricing.simulation import Conditions, price_of_a_call

GRID = [(p1, u, n) for p1 in (0.5, 0.8, 0.95) for u in (0.1, 0.5, 0.9) for n in (2, 3, 4, 8, 16)]


def scalars(correct, cost, groups=None, known=None, rewards=None) -> RolloutScalars:
    correct = torch.as_tensor(correct, dtype=torch.bool)
    known = torch.ones_like(correct) if known is None else torch.as_tensor(known, dtype=torch.bool)
    groups = torch.zeros(len(correct), dtype=torch.int64) if groups is None else torch.as_tensor(groups)
    rewards = correct.float() if rewards is None else torch.as_tensor(rewards)
    return RolloutScalars(rewards, groups, known, correct & known, torch.as_tensor(cost, dtype=torch.float64))


def advantages(rollouts, **knobs):
    return priced(rollouts, **{"price": 0.1, **knobs}).accuracy_B


@pytest.mark.parametrize(
    ("correct", "cost", "knobs", "expected"),
    [
        # Gains (+,+,-,-) .5, costs (-,+,-,+) .5 at .2; the others of each deviate by .5774, more than 1/2
        ([1, 1, 0, 0], [0, 1, 0, 1], {"price": 0.2}, [0.6 / 0.57735, 0.4 / 0.57735, -0.4 / 0.57735, -0.6 / 0.57735]),
        # A lone right answer among others that do not deviate has the floor 1/2, the others (1, 0, 0): .5774
        ([1, 0, 0, 0], [0, 0, 0, 0], {}, [1.5, -0.4330, -0.4330, -0.4330]),
        # All right: price times cost over the floor 1/2
        ([1, 1, 1, 1], [0, 0, 1, 3], {"price": 0.25}, [0.5, 0.5, 0.0, -1.0]),
        # Two rollouts: each has one other, which has no deviation; the floor is .7071
        ([1, 0], [1, 0], {"price": 0.5}, [0.35355, -0.35355]),
        # A call of cost 3 pays three times as much
        ([1, 1], [0, 3], {"price": 0.1}, [0.15 / 0.70711, -0.15 / 0.70711]),
        # Gated: the right call bears its own share and that of the wrong one, cost .5 x 2/1; so the right one without
        ([1, 1, 0, 0], [0, 1, 0, 1], {"price": 0.2, "gated": True}, [0.7 / 0.57735, 0.3 / 0.57735, -0.8660, -0.8660]),
        # Gated: no call is right, and its share is lost
        ([1, 1, 0, 0], [0, 0, 1, 1], {"price": 0.2, "gated": True}, [0.6 / 0.57735] * 2 + [-0.8660] * 2),
        # Gated, all wrong: tool use plays no part
        ([0, 0, 0, 0], [0, 1, 2, 4], {"price": 0.9, "gated": True}, [0.0] * 4),
        # A right answer is worth .5 of the reward: price and floor are halved with it
        ([1, 1, 1, 1], [0, 0, 1, 3], {"price": 0.25, "answer_weight": 0.5}, [0.5, 0.5, 0.0, -1.0]),
        ([1, 1, 0, 0], [0, 1, 0, 1], {"price": 0.2, "norm_by_std": False}, [0.6, 0.4, -0.4, -0.6]),
    ],
)  # fmt: skip
def test_worked_by_hand(correct, cost, knobs, expected):
    torch.testing.assert_close(advantages(scalars(correct, cost), **knobs), torch.tensor(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize("price", [0.0, 0.05, 0.15, 0.3])
@pytest.mark.parametrize(("right", "use", "size"), GRID)
def test_the_price_is_the_one_asked_for(right, use, size, price):
    for knobs in ({}, {"norm_by_std": False}):
        found = price_of_a_call(partial(advantages, price=price, **knobs), Conditions(right, use, size))
        assert found == pytest.approx(price, abs=1e-4)


@pytest.mark.parametrize("price", [0.05, 0.15, 0.3])
@pytest.mark.parametrize(("right", "use", "size"), [case for case in GRID if case[2] >= 4])
def test_gated_it_is_between_45_and_100_percent_of_that(right, use, size, price):
    found = price_of_a_call(lambda x: advantages(x, price=price, gated=True), Conditions(right, use, size))
    assert 0.45 * price < found < price + 1e-4


def test_gated_it_nears_that_with_the_size_of_the_group():
    found = [
        price_of_a_call(lambda x: advantages(x, price=0.15, gated=True), Conditions(0.5, 0.5, n))
        for n in (4, 8, 16, 32)
    ]
    assert found == sorted(found) and found[-1] > 0.149


def test_where_calls_differ_in_cost_gating_can_ask_more_than_the_price():
    """No call, one of cost 1, one of cost 10 in .45, .05 and .5: at .1 the one of cost 1 must gain some 16 points."""
    generator, shares = torch.Generator().manual_seed(3), torch.tensor([0.45, 0.05, 0.5])
    right_of, costs = torch.tensor([0.5, 0.63, 0.5]), torch.tensor([0.0, 1, 10])
    tool, correct, group = drawn(generator, 40_000, 8, shares, right_of)
    for gated in (False, True):
        found = advantages(scalars(correct, costs[tool], group), gated=gated).double()
        assert (found[tool == 1].mean() < found[tool == 0].mean()) == gated


@pytest.mark.parametrize("size", [1, 2, 5, 33])
def test_a_gate_s_shares_are_those_of_a_count_pair_by_pair(size):
    generator = torch.Generator().manual_seed(size)
    prices = torch.tensor([0, 0.1, 0.2, 0.3, 1, 10], dtype=torch.float64)  # .1 + .2 is not .3 to the bit
    cost = prices[torch.randint(6, (50, size, 3), generator=generator)].sum(dim=2)
    correct = torch.rand(50, size, generator=generator) < 0.4
    same = (cost[:, :, None] - cost[:, None, :]).abs() < 1e-6
    expected = same.sum(2) / (same & correct[:, None, :]).sum(2).clamp(min=1)
    assert torch.equal(_shares(cost, correct), torch.where(correct, expected, 0.0))


def drawn(generator, groups, size, shares, right_of):
    """Rollouts whose number of calls has the probabilities ``shares``, right with ``right_of`` by that number."""
    calls = torch.multinomial(shares, groups * size, replacement=True, generator=generator)
    correct = torch.rand(groups * size, generator=generator) < right_of[calls]
    return calls, correct, torch.arange(groups).repeat_interleave(size)


@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("graded", [False, True])
def test_many_calls_graded_rewards_and_unknown_outcomes_follow_the_gradient_of_accuracy_less_price(unknown, graded):
    """E[A (1{k calls} - share_k)] = c share_k [(q_k - price k) - mean], one c for every k: the gradient by the logits.

    Where no outcome of a group is known but one it has no part; of the others, c > 0 whatever k is.
    """
    price, size, groups = 0.12, 6, 40_000
    generator = torch.Generator().manual_seed(1)
    shares, right_of = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([0.4, 0.7, 0.65, 0.9])
    calls, correct, group = drawn(generator, groups, size, shares, right_of)
    known = torch.rand(len(calls), generator=generator) >= unknown
    rewards = correct.float()
    if graded:  # a part for the format, which has nothing to do with calls
        rewards = 0.9 * rewards + 0.1 * (torch.rand(len(calls), generator=generator) < 0.5)
    weight = 0.9 if graded else 1.0
    found = advantages(scalars(correct, calls, group, known, rewards), price=price, answer_weight=weight).double()
    pushes = torch.stack([(found * ((calls == k).double() - shares[k])).mean() for k in range(4)])
    worth = right_of.double() - price * torch.arange(4)
    expected = shares.double() * (worth - (shares * worth).sum())
    scale = (pushes * expected).sum() / expected.square().sum()
    torch.testing.assert_close(pushes / scale, expected, atol=0.004, rtol=0)
    assert not found[~known].any()


def test_each_tool_has_the_price_of_its_own_cost():
    """Two tools: one costs 1 and gains 20 points, one costs 3 and gains 20: at a price of 10 the dear one goes."""
    generator = torch.Generator().manual_seed(2)
    shares, right_of, costs = torch.tensor([0.4, 0.3, 0.3]), torch.tensor([0.5, 0.7, 0.7]), torch.tensor([0.0, 1, 3])
    tool, correct, group = drawn(generator, 20_000, 8, shares, right_of)
    found = advantages(scalars(correct, costs[tool], group), price=0.1)
    none, cheap, dear = (found[tool == k].double().mean().item() for k in range(3))
    assert cheap > none > dear


def test_a_price_for_each_rollout_is_that_price():
    correct, cost, groups = [1, 1, 0, 0] * 2, [0, 1, 0, 1] * 2, [0] * 4 + [1] * 4
    both = advantages(scalars(correct, cost, groups), price=torch.tensor([0.1] * 4 + [0.4] * 4))
    one, other = (advantages(scalars(correct[:4], cost[:4]), price=price) for price in (0.1, 0.4))
    assert torch.equal(both, torch.cat([one, other]))


def test_grpo_divides_by_a_deviation_that_the_rollout_is_part_of_and_its_price_drifts():
    """What leaving the rollout out is for: the same formula with std over all of the group, floor and all."""

    def with_its_own(rollouts):
        size = int((rollouts.group_B == 0).sum())
        rewards, cost = rollouts.rewards_B.double().view(-1, size), rollouts.cost_B.view(-1, size)
        std = rewards.std(dim=1, keepdim=True).clamp(min=size**-0.5)
        centred = rewards - rewards.mean(1, keepdim=True) - 0.3 * (cost - cost.mean(1, keepdim=True))
        return (centred / std).flatten()

    assert price_of_a_call(with_its_own, Conditions(0.95, 0.9, 16)) > 0.32
    assert math.isclose(
        price_of_a_call(lambda x: advantages(x, price=0.3), Conditions(0.95, 0.9, 16)), 0.3, abs_tol=1e-4
    )
