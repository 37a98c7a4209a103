"""The price of a call: formulas that are known, and enumerated against drawn groups."""

from __future__ import annotations

import math

import pytest
import torch

from verl_hdpo.compare.pricing.algorithm import Chosen, advantages_of, price_of, price_of_variant, settings_of
from verl_hdpo.compare.pricing.simulation import Conditions, price_of_a_call
from verl_hdpo.compare.variant import Variant, VariantError, own_variants, parse_variants
from verl_hdpo.settings.algorithms import ALGORITHMS, HDPOSettings
from verl_hdpo.settings.group import SettingsError


def price(text, right=0.8, use=0.5, size=16, cost=1.0):
    return price_of_variant(Variant.parse(text), Conditions(right, use, size, cost=cost))


@pytest.mark.parametrize(
    ("algo", "expected"),
    [
        ("grpo", 0.0),
        ("priced[price=0.25]", 0.25),
        ("priced[price=2,accuracy_per_unit=0.05]", 0.1),
        ("priced[price=0.1,answer_weight=2]", 0.1),
        ("priced[price=0.8]", 0.8),  # all that a call gains
        ("priced[price=1e-2]", 0.01),
        ("priced[price=0.1,algorithm.hdpo.norm_by_std=false]", 0.1),
        ("grpo[algorithm.norm_adv_by_std_in_grpo=false,algorithm.hdpo.observe=true]", 0.0),
        # Without a division the sign is that of E[R | call] - E[R | none], so a/2, and p1 (a/2) / (1 + a) where gated.
        # By a deviation that R is part of, some points from it.
        ("grpo_penalty[a=0.3]", 0.15),
        ("grpo_penalty[a=1.0,gated=true]", 0.8 - 0.8 * 1.5 / 2),
    ],
)
def test_prices_that_are_known(algo, expected):
    assert price(algo) == pytest.approx(expected, abs=1e-4 if algo.startswith(("grpo[", "priced")) else 0.02)


@pytest.mark.parametrize(
    ("algo", "cost", "expected"),
    [
        ("priced[price=1,accuracy_per_unit=10]", 0.01, 0.1),
        ("priced[price=0.1]", 3, 0.3),
        ("priced[price=0.1]", 0, 0),
        # Without a division a - C on one side: a C
        ("grpo_penalty[a=0.1,form=linear,algorithm.hdpo.norm_by_std=false]", 3, 0.3),
    ],
)
def test_a_call_s_price_is_that_of_its_cost(algo, cost, expected):
    assert price(algo, size=8, cost=cost) == pytest.approx(expected, abs=1e-4)


def test_whole_keys_count_as_plain_ones_do():
    plain = settings_of(Variant.parse("hdpo[w_tool=1.0]"))
    assert plain == settings_of(Variant.parse("hdpo[algorithm.hdpo.w_tool=1.0]")) != settings_of(Variant.parse("hdpo"))
    by_hdpo, by_verl = "algorithm.hdpo.norm_by_std=false", "algorithm.norm_adv_by_std_in_grpo=false"
    for text in ("hdpo[norm_by_std=false]", f"otc[{by_hdpo}]", f"otc[{by_verl}]", f"grpo[{by_verl}]"):
        assert settings_of(Variant.parse(text)).norm_by_std is False
    kept = "otc[algorithm.norm_adv_by_std_in_grpo=false,algorithm.hdpo.norm_by_std=true]"
    assert settings_of(Variant.parse(kept)).norm_by_std is True


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("priced[algorithm.hdpo.tool_costs={web: 3}]", "or the --cost of verl-hdpo price; leave it out"),
        ("hdpo[tool_costs={web: 3}]", "algorithm.hdpo.tool_costs is not read here"),
        ("hdpo[algorithm.hdpo.tool_costs.web=3]", "algorithm.hdpo.tool_costs.web is not read here"),
        ("priced[data.seed=3]", "data.seed has no part in the advantages computed here; leave it out, or use"),
        ("priced[algorithm.otc.smoothing=2]", "algorithm.otc.smoothing has no part"),
        ("grpo[algorithm.grpo.a=2]", "algorithm.grpo.a has no part"),
        ("priced[price=x{]", "price=x{ cannot be read"),
    ],
)
def test_a_knob_that_would_be_passed_over_is_refused(text, why):
    with pytest.raises(VariantError) as refused:
        settings_of(Variant.parse(text))
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("priced[algorithm.priced.pric=3]", "unknown setting algorithm.priced.pric"),
        ("priced[algorithm.hdpo.w_acc=-1]", "algorithm.hdpo.w_acc must be a finite number >= 0"),
        ("otc[algorithm.norm_adv_by_std_in_grpo=1]", "must be true or false, found 1"),
    ],
)
def test_a_whole_key_out_of_range_is_refused(text, why):
    with pytest.raises(SettingsError, match=why):
        settings_of(Variant.parse(text))


def test_a_loss_over_correct_rollouts_alone_is_so_much_dearer():
    """At p1 = .8 and the price found, p0 is .8 less it: A_tool weighs 1 over the share right of both."""
    found = price("hdpo[tool_loss_norm=qualifying]", size=8)
    right = 0.8 - 0.5 * found
    assert found == pytest.approx(price(f"hdpo[w_tool={0.15 / right:.4f}]", size=8), abs=0.02)
    assert found > price("hdpo", size=8) + 0.02
    both = "combine=advantage,tool_loss_norm="
    assert price(f"hdpo[{both}qualifying]", size=8) == price(f"hdpo[{both}all]", size=8)


def test_not_divided_the_mixed_reward_s_price_is_its_formula():
    settings = ALGORITHMS["grpo_penalty"](a=0.3)
    assert price_of(Chosen("grpo_penalty", settings, norm_by_std=False), Conditions(0.8, 0.5, 8)) == pytest.approx(
        0.15, abs=1e-4
    )


def test_prices_of_hdpo_grow_with_its_weight():
    found = [price(f"hdpo[w_tool={weight}]") for weight in (0, 0.15, 0.3, 0.5)]
    assert found == sorted(found) and found[0] == pytest.approx(0, abs=1e-4) and 0.05 < found[1] < found[3] < 0.4
    assert price("gdpo") == math.inf


@pytest.mark.parametrize("algo", ["hdpo", "priced[gated=true]", "grpo_penalty[a=0.5]", "eapo_style"])
def test_enumerated_groups_are_what_drawn_ones_come_to(algo):
    advantages = advantages_of(settings_of(Variant.parse(algo)))
    exact, drawn = (price_of_a_call(advantages, Conditions(0.8, 0.5, 8), drawn) for drawn in (False, True))
    assert exact == pytest.approx(drawn, abs=0.025)


def test_up_to_64_rollouts_the_price_is_exact():
    assert price("priced[price=0.1]", use=0.99, size=64) == pytest.approx(0.1, abs=1e-4)


@pytest.mark.parametrize(("use", "size"), [(0.01, 65), (0.99, 65), (0.95, 1024), (0.99, 1024)])
def test_the_largest_groups_are_few_and_the_price_is_within_2_points(use, size):
    sizes = []

    def recorded(batch):
        sizes.append(len(batch.cost_B))
        return advantages_of(Chosen("priced", ALGORITHMS["priced"](price=0.2)))(batch)

    assert price_of_a_call(recorded, Conditions(0.8, use, size)) == pytest.approx(0.2, abs=0.02)
    assert max(sizes) <= 512_000


@pytest.mark.parametrize(
    ("algo", "worth", "expected"),
    [
        ("priced[price=0.1]", 2, 0.1),  # its answer_weight is then 2
        ("priced[price=0.1,answer_weight=1]", 2, 0.05),
        ("priced[price=0.1,answer_weight=1]", 0.9, 1 / 9),
        ("grpo_penalty[a=0.3,algorithm.hdpo.norm_by_std=false]", 2, 0.075),
        ("grpo", 2, 0),
    ],
)
def test_the_price_is_in_answers_of_what_one_adds_to_the_reward(algo, worth, expected):
    found = price_of_variant(Variant.parse(algo), Conditions(0.8, 0.5, 8, worth))
    assert found == pytest.approx(expected, abs=1e-4)


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

    price_of_a_call(recorded, Conditions(0.8, 0.5, 4))
    from verl_hdpo.algorithm.estimators import ESTIMATORS

    both = ESTIMATORS["hdpo"](rollouts[0])
    expected = 2.0 * both.accuracy_B + 0.5 * both.efficiency_B
    torch.testing.assert_close(advantages_of(Chosen("hdpo", settings))(rollouts[0]), expected)


def test_an_algorithm_of_verl_s_is_refused():
    with pytest.raises(VariantError, match="rloo is not an algorithm of this package; known: grpo, gdpo, hdpo"):
        own_variants("rloo")
    assert parse_variants("gdpo")[0].label == "tool_gdpo"
