"""The price of a call: formulas that are known, and enumerated against drawn groups."""

from __future__ import annotations

import math

import pytest
import torch

from verl_hdpo.compare.pricing.algorithm import advantages_of, price_of, price_of_variant, settings_of
from verl_hdpo.compare.pricing.simulation import price_of_a_call
from verl_hdpo.compare.variant import Variant, VariantError, own_variants, parse_variants
from verl_hdpo.settings.algorithms import ALGORITHMS, HDPOSettings


def price(text, right=0.8, use=0.5, size=16):
    return price_of_variant(Variant.parse(text), right, use, size)


@pytest.mark.parametrize(
    ("algo", "expected"),
    [
        ("grpo", 0.0),
        ("priced[price=0.25]", 0.25),
        ("priced[price=2,accuracy_per_unit=0.05]", 0.1),
        # Without a division the sign is that of E[R | call] - E[R | none], so a/2, and p1 (a/2) / (1 + a) where gated.
        # By a deviation that R is part of, some points from it.
        ("grpo_penalty[a=0.3]", 0.15),
        ("grpo_penalty[a=1.0,gated=true]", 0.8 - 0.8 * 1.5 / 2),
    ],
)
def test_prices_that_are_known(algo, expected):
    assert price(algo) == pytest.approx(expected, abs=1e-4 if algo.startswith(("grpo[", "priced")) else 0.02)


def test_not_divided_the_mixed_reward_s_price_is_its_formula():
    settings = ALGORITHMS["grpo_penalty"](a=0.3)
    assert price_of("grpo_penalty", settings, 0.8, 0.5, 8, norm_by_std=False) == pytest.approx(0.15, abs=1e-4)


def test_prices_of_hdpo_grow_with_its_weight():
    found = [price(f"hdpo[w_tool={weight}]") for weight in (0, 0.15, 0.3, 0.5)]
    assert found == sorted(found) and found[0] == pytest.approx(0, abs=1e-4) and 0.05 < found[1] < found[3] < 0.4
    assert price("gdpo") == math.inf


@pytest.mark.parametrize("algo", ["hdpo", "priced[gated=true]", "grpo_penalty[a=0.5]", "eapo_style"])
def test_enumerated_groups_are_what_drawn_ones_come_to(algo, monkeypatch):
    monkeypatch.setattr("verl_hdpo.compare.pricing.simulation.DRAWN_GROUPS", 8000)
    advantages = advantages_of(*settings_of(Variant.parse(algo)))
    exact, drawn = (price_of_a_call(advantages, 0.8, 0.5, 8, drawn) for drawn in (False, True))
    assert exact == pytest.approx(drawn, abs=0.025)


def test_large_groups_are_drawn(monkeypatch):
    monkeypatch.setattr("verl_hdpo.compare.pricing.simulation.DRAWN_GROUPS", 500)
    assert price("priced[price=0.2]", size=64) == pytest.approx(0.2, abs=0.03)


def test_where_no_outcome_depends_on_the_call_there_is_still_a_price():
    for right, use in ((0.0, 0.5), (1.0, 0.5), (1.0, 0.99)):
        found = price("priced[price=0.1]", right, use, 4)
        assert found == math.inf if right < 0.1 else found == pytest.approx(0.1, abs=1e-4)


def test_the_two_channels_are_weighed():
    rollouts = []
    settings = HDPOSettings(w_acc=2.0, w_tool=0.5)

    def recorded(batch):
        rollouts.append(batch)
        return torch.zeros(len(batch.cost_B))

    price_of_a_call(recorded, 0.8, 0.5, 4)
    from verl_hdpo.algorithm.estimators import ESTIMATORS

    both = ESTIMATORS["hdpo"](rollouts[0])
    expected = 2.0 * both.accuracy_B + 0.5 * both.efficiency_B
    torch.testing.assert_close(advantages_of("hdpo", settings)(rollouts[0]), expected)


def test_an_algorithm_of_verl_s_is_refused():
    with pytest.raises(VariantError, match="rloo is not an algorithm of this package; known: grpo, gdpo, hdpo"):
        own_variants("rloo")
    assert parse_variants("gdpo")[0].label == "tool_gdpo"
