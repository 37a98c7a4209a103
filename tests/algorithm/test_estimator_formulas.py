"""HDPO's rivals: hand-worked cases, an independent plain implementation, verl's own, and properties."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_estimators import PLAIN, Row

from verl_hdpo.algorithm.advantages import accuracy_advantages, efficiency_advantages, tool_efficiency
from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.settings.algorithms import ALGORITHMS

RIVALS = [name for name in ESTIMATORS if name != "hdpo"]


def scalars(rows: list[Row]) -> RolloutScalars:
    reward, group, known, correct, cost, format_ok = (list(x) for x in zip(*rows, strict=True))
    return RolloutScalars(
        torch.tensor(reward, dtype=torch.float32),
        torch.tensor(group),
        torch.tensor(known),
        torch.tensor(correct),
        torch.tensor(cost, dtype=torch.float64),
        torch.tensor(format_ok),
    )


def advantages(name: str, rows: list[Row], **knobs) -> torch.Tensor:
    return ESTIMATORS[name](scalars(rows), **ALGORITHMS[name].from_mapping(knobs).parameters).accuracy_B


def group(correct, calls, number=0, **fields) -> list[Row]:
    return [Row(float(c), number, True, bool(c), float(t), **fields) for c, t in zip(correct, calls, strict=True)]


def test_the_names_are_these():
    """Frozen: a name is what users put into their commands."""
    assert list(ESTIMATORS) == [
        "hdpo", "priced", "grpo_penalty", "tool_gdpo", "gdpo_conditioned", "otc", "ikea", "slimsearcher_style",
        "adatir_style", "dvao", "sa_mrpo", "eapo_style", "turn_penalty",
    ]  # fmt: skip
    assert list(ALGORITHMS) == list(ESTIMATORS)
    assert set(PLAIN) == set(RIVALS)


HALF_RIGHT = group([1, 1, 0, 0], [0, 1, 0, 1])
# Advantages of four rewards: (R - mean) / std with the unbiased std.
SPREAD_EVENLY = [1.1619, 0.3873, -0.3873, -1.1619]  # R = (3, 2, 1, 0) scaled: deviations (3, 1, -1, -3) / sqrt(20/3)
ONE_AND_A_HALF = [1.3056, 0.2611, -0.7833, -0.7833]  # R = (1, 1/2, 0, 0): mean .375, std .4787


@pytest.mark.parametrize(
    ("name", "rows", "knobs", "expected"),
    [
        # R = (1 + 1, 1 + 1/2, 0 + 1, 0 + 1/2)
        ("grpo_penalty", HALF_RIGHT, {"a": 1}, SPREAD_EVENLY),
        # R = (1, 1 - .5, 0, -.5)
        ("grpo_penalty", HALF_RIGHT, {"a": 0.5, "form": "linear"}, SPREAD_EVENLY),
        # R = (1, 1 - .5, 0, 0)
        ("grpo_penalty", HALF_RIGHT, {"a": 0.5, "form": "linear", "gated": True}, ONE_AND_A_HALF),
        # R = (2, 1.5, 0, 0): mean .875, std 1.0308
        ("grpo_penalty", HALF_RIGHT, {"a": 1, "gated": True}, [1.0914, 0.6063, -0.8489, -0.8489]),
        # A_acc = (+,+,-,-) .8660, A_tool = (+,-,+,-) .8660; the sum (1.7321, 0, 0, -1.7321) has std sqrt(2)
        ("tool_gdpo", HALF_RIGHT, {}, [1.2247, 0, 0, -1.2247]),
        # A_tool = ONE_AND_A_HALF; the sum (2.1716, 1.1271, -1.6494, -1.6494) has std 1.9516
        ("gdpo_conditioned", HALF_RIGHT, {}, [1.1127, 0.5775, -0.8451, -0.8451]),
        # n = 0: r_tool = (1, cos(pi/3) = 1/2)
        ("otc", HALF_RIGHT, {}, ONE_AND_A_HALF),
        # n = 1: r_tool = (1, sin(3 pi/4) = .7071); R = (1, .7071, 0, 0): mean .4268, std .5071
        ("otc", group([1, 1, 0, 0], [1, 3, 0, 9]), {}, [1.1304, 0.5528, -0.8416, -0.8416]),
        # R = (1.6, 1.4, 0, .05): mean .7625, std .8557
        ("ikea", HALF_RIGHT, {}, [0.9787, 0.7450, -0.8910, -0.8326]),
        # no correct rollout, equal formats: R = (.05, 0) against a wrong format's -1: mean -.3167, std .5923
        (
            "ikea",
            group([0, 0], [4, 0]) + group([1], [0], format_ok=False),
            {},
            [0.6191, 0.5347, -1.1537],
        ),
        # C_min = 0: d = (0, 1), gate = (1, 2 / (e + 1) = .5379); R = (1, .5379, 0, 0): mean .3845, std .4824
        ("slimsearcher_style", HALF_RIGHT, {}, [1.2761, 0.3180, -0.7970, -0.7970]),
        # The published eps in place of the floor: whoever called is worth a wrong answer. R = (1, 0, 0, 0)
        ("slimsearcher_style", HALF_RIGHT, {"floor": 1e-6}, [1.5, -0.5, -0.5, -0.5]),
        # Easy: R = (1, 1 - 1, 1, 1 - 1) would be (+,-,+,-) .8660; a right answer is not pushed down
        ("adatir_style", group([1, 1, 1, 1], [0, 5, 0, 5]), {"penalty": 1}, [0.8660, 0, 0.8660, 0]),
        # Half of the answers are wrong: not easy, so GRPO
        ("adatir_style", HALF_RIGHT, {"penalty": 1}, [0.8660, 0.8660, -0.8660, -0.8660]),
        # r_acc and r_tool deviate by (+,+,-,-) .5 and (+,-,+,-) .25; stds .5774 and .2887: sums over .8660
        ("dvao", HALF_RIGHT, {}, [0.8660, 0.2887, -0.2887, -0.8660]),
        # s_acc = .5, s_tool = .75: weights .5 and .25 on A of +-.8660: (.6495, .2165, ...), a spread of SPREAD_EVENLY
        ("sa_mrpo", HALF_RIGHT, {"gamma": 1}, SPREAD_EVENLY),
        # d = .5: R = (1, .5 + .5 / e = .6839, 0, 0): mean .4210, std .5029
        ("eapo_style", HALF_RIGHT, {}, [1.1513, 0.5228, -0.8371, -0.8371]),
        ("eapo_style", group([0, 0], [0, 3]), {}, [0.0, 0.0]),
        # mean .5, turns (1, 2) over 2: R = (1 - .25 a, 1 - .5 a, -.25 a, -.5 a) with a = 1: less mean .125
        ("turn_penalty", HALF_RIGHT, {"weight": 1}, [0.625, 0.375, -0.375, -0.625]),
    ],
)  # fmt: skip
def test_worked_by_hand(name, rows, knobs, expected):
    torch.testing.assert_close(advantages(name, rows, **knobs), torch.tensor(expected), atol=1e-4, rtol=0)


def test_ikeas_bonus_by_calls():
    """1.6, 1.4, 1.2, 1 and no less for 0, 1, 2, 3 and more calls, as the authors' code has them."""
    rewards = torch.tensor([1.6, 1.4, 1.2, 1.0, 1.0], dtype=torch.float64)
    expected = (rewards - rewards.mean()) / rewards.std()
    torch.testing.assert_close(advantages("ikea", group([1] * 5, [0, 1, 2, 3, 8])), expected.float(), atol=1e-5, rtol=0)


def test_ikea_without_a_reported_format_says_what_to_do():
    blind = dataclasses.replace(scalars(HALF_RIGHT), format_ok_B=None)
    knobs = ALGORITHMS["ikea"]().parameters
    with pytest.raises(ValueError, match=r"no key 'format'.*\+algorithm\.ikea\.format_reward=null"):
        ESTIMATORS["ikea"](blind, **knobs)
    without = ESTIMATORS["ikea"](blind, **{**knobs, "format_reward": None})
    assert torch.equal(without.accuracy_B, advantages("ikea", HALF_RIGHT))


KNOBS = {
    "grpo_penalty": [{}, {"a": 2.0, "gated": True}, {"form": "linear"}, {"form": "linear", "gated": True, "a": 0.5}],
    "tool_gdpo": [{}, {"w_tool": 0.15}, {"w_acc": 0.0}],
    "gdpo_conditioned": [{}, {"w_acc": 2.0, "w_tool": 0.15}],
    "otc": [{}, {"smoothing": 4.0}],
    "ikea": [{}, {"bonus": 1.0, "max_calls": 2.5, "search_reward": 0.3, "format_reward": None}],
    "slimsearcher_style": [{}, {"floor": 0.1}],
    "adatir_style": [{}, {"penalty": 0.9, "easy_below": 1.0, "max_calls": 2}],
    "dvao": [{}, {"w_tool": 0.15}, {"w_acc": 0.0}],
    "sa_mrpo": [{}, {"gamma": 1.0, "w_tool": 0.3}, {"gamma": 0.0}],
    "eapo_style": [{}, {"beta": 0.2}],
    "turn_penalty": [{}, {"weight": 0.7}],
    "priced": [
        {},
        {"price": 0.0},
        {"price": 0.8, "gated": True},
        {"price": 2.0, "accuracy_per_unit": 0.1},
        {"gated": True, "answer_weight": 0.875},
    ],
}
CASES = [(name, knobs) for name, choices in KNOBS.items() for knobs in choices]


def random_batches(count: int, seed: int):
    """Groups of one to a dozen rollouts, unknown ones among them, costs that are whole and costs that are not."""
    chance = random.Random(seed)
    for _ in range(count):
        rows, share, priced = [], chance.random(), chance.random() < 0.3
        for number in range(chance.randint(1, 6)):
            for _ in range(chance.choice([1, 2, 4, 8, 12])):
                known = chance.random() < 0.85
                correct = known and chance.random() < share
                format_ok = chance.random() < 0.8
                calls = chance.choice([0, 0, 1, 1, 2, 3, 7])
                cost = calls * chance.choice([0.0, 0.5, 3.0]) if priced else float(calls)
                # Dyadic fractions are the same numbers in float32, in which verl's rewards come.
                rows.append(Row(0.875 * correct + 0.125 * format_ok, number, known, correct, cost, format_ok))
        chance.shuffle(rows)
        yield rows


@pytest.mark.parametrize(("name", "knobs"), CASES)
def test_against_the_plain_implementation(name, knobs):
    for rows in random_batches(100, seed=len(name)):
        expected = torch.tensor(PLAIN[name](rows, **knobs))
        torch.testing.assert_close(advantages(name, rows, **knobs), expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize(("name", "knobs"), CASES)
def test_unknown_rollouts_change_nothing_for_the_others(name, knobs):
    """Whatever stands in an unknown row, the rest of the batch is as it would be without it, and it gets 0."""
    for rows in random_batches(40, seed=100 + len(name)):
        garbage = [row if row.known else row._replace(reward=-50.0, cost=99.0, format_ok=False) for row in rows]
        got = advantages(name, garbage, **knobs)
        known = torch.tensor([row.known for row in rows])
        assert not got[~known].any()
        assert torch.equal(got, advantages(name, rows, **knobs))
        if known.any():
            without = advantages(name, [row for row in rows if row.known], **knobs)
            torch.testing.assert_close(got[known], without, atol=1e-6, rtol=1e-6)


rollout = st.tuples(st.integers(0, 3), st.booleans(), st.booleans(), st.integers(0, 6), st.booleans())
batches = st.lists(rollout, min_size=1, max_size=24).map(
    lambda rows: [Row(float(c), g, k or c, c, float(t), f) for g, c, k, t, f in rows]
)


@pytest.mark.parametrize("wrong", [0.1, -1.0])
@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("priced", {"gated": True}), ("grpo_penalty", {"gated": True}), ("gdpo_conditioned", {}), ("otc", {}),
        ("slimsearcher_style", {}), ("adatir_style", {}), ("eapo_style", {}),
    ],
)  # fmt: skip
def test_wrong_answers_are_alike_whatever_they_are_paid_and_call(name, knobs, wrong):
    """The table of docs/algorithms.md, in groups with right ones; .1 is for format, say."""
    rows = group([1, 1, 1, 1, 0, 0, 0], [2, 1, 3, 1, 0, 1, 6])
    rows = [row if row.correct else row._replace(reward=wrong) for row in rows]
    got = advantages(name, rows, **knobs)
    assert got[0] != got[2] and got[4:].max() - got[4:].min() < 1e-6 < got[0] - got[4]


@pytest.mark.parametrize("name", RIVALS)
@given(rows=batches, chance=st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_does_not_matter(name, rows, chance):
    order = list(range(len(rows)))
    chance.shuffle(order)
    moved = advantages(name, [rows[i] for i in order])
    torch.testing.assert_close(advantages(name, rows)[order], moved, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", RIVALS)
@given(rows=batches)
@settings(max_examples=30, deadline=None)
def test_of_two_right_answers_of_a_prompt_the_dearer_never_gains_more(name, rows):
    got = advantages(name, [row._replace(format_ok=True) for row in rows]).tolist()
    assert all(abs(value) < 100 for value in got)
    for row, mine in zip(rows, got, strict=True):
        for other, theirs in zip(rows, got, strict=True):
            if row.group == other.group and row.correct and other.correct and row.cost < other.cost:
                assert mine >= theirs - 1e-6


@pytest.mark.parametrize(
    ("name", "wrong_count"),
    [
        ("grpo_penalty", True),
        ("tool_gdpo", True),
        ("ikea", True),
        ("gdpo_conditioned", False),
        ("otc", False),
        ("slimsearcher_style", False),
        ("adatir_style", False),
        ("priced", True),
        ("dvao", True),
        ("sa_mrpo", True),
        ("eapo_style", False),
        ("turn_penalty", False),
    ],
)
def test_whether_tool_use_counts_among_wrong_answers(name, wrong_count):
    """The table of docs/algorithms.md; all-wrong groups, where r_acc says nothing."""
    all_wrong = group([0, 0, 0, 0], [0, 1, 2, 4])
    other = group([1, 0], [0, 0], number=1)  # a batch has other groups: whitening needs some spread
    got = advantages(name, all_wrong + other)[:4]
    assert (got.abs() > 1e-3).any() == wrong_count
    if wrong_count:
        assert (got[0] < got[1]) == (name == "ikea")  # which alone rewards a wrong answer for its call
    else:
        assert got.abs().max() < 1e-6


@pytest.mark.parametrize("name", RIVALS)
def test_all_correct_groups_have_a_signal(name):
    got = advantages(name, group([1, 1, 1, 1], [0, 1, 2, 4]))
    assert got[0] > got[1] + 0.01
    if name == "adatir_style":
        assert (got >= 0).all()
    assert not advantages(name, group([1] * 4, [2] * 4)).abs().gt(1e-6).any()  # equal cost, no signal


@pytest.mark.parametrize("name", RIVALS)
def test_where_nobody_calls_a_tool_only_correctness_counts(name):
    got = advantages(name, group([1, 1, 0, 0], [0] * 4))
    size = 0.5 if name == "turn_penalty" else 0.8660  # the only one without a division by std
    torch.testing.assert_close(got, torch.tensor([size, size, -size, -size]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("correct", [0, 1])
def test_one_rollout_a_group_is_finite(name, correct):
    rows = [row for number in range(3) for row in group([correct], [number], number=number)]
    assert advantages(name, rows).isfinite().all()
    nobody = [row._replace(known=False, correct=False) for row in rows]
    assert not advantages(name, nobody).any()


@pytest.mark.parametrize("name", RIVALS)
def test_no_rollouts_is_no_advantages(name):
    nothing, none = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool)
    empty = RolloutScalars(torch.zeros(0), nothing, none, none, torch.zeros(0, dtype=torch.float64), none)
    assert ESTIMATORS[name](empty, **ALGORITHMS[name]().parameters).accuracy_B.shape == (0,)


@pytest.mark.parametrize("norm_by_std", [True, False])
def test_no_penalty_is_verls_grpo(norm_by_std):
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    for rows in random_batches(60, seed=3):
        batch = scalars([row._replace(known=True) for row in rows])
        verls, _ = compute_grpo_outcome_advantage(
            token_level_rewards=batch.rewards_B[:, None],
            response_mask=torch.ones(len(rows), 1),
            index=batch.group_B.numpy(),
            norm_adv_by_std_in_grpo=norm_by_std,
        )
        knobs = ALGORITHMS["grpo_penalty"](a=0).parameters
        ours = ESTIMATORS["grpo_penalty"](batch, norm_by_std=norm_by_std, **knobs).accuracy_B
        alone = torch.bincount(batch.group_B)[batch.group_B] == 1  # keeps its reward in verl
        torch.testing.assert_close(ours, torch.where(alone, 0.0, verls[:, 0]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 0.15)])
def test_tool_gdpo_is_verls_gdpo_on_responses_of_one_token(weights):
    """There whitening over tokens, as verl does it, is whitening over rollouts."""
    from verl.trainer.ppo.core_algos import compute_gdpo_outcome_advantage

    chance = random.Random(4)
    for _ in range(100):
        rows = []
        for number in range(4):
            rows += group(chance.choices([0, 1], k=8), chance.choices(range(4), k=8), number)
        batch, ones = scalars(rows), torch.ones(len(rows), 1)
        verls, _ = compute_gdpo_outcome_advantage(
            token_level_rewards=ones,
            response_mask=ones,
            index=batch.group_B.numpy(),
            config={"gdpo_reward_keys": ["acc", "tool"], "gdpo_reward_weights": list(weights)},
            non_tensor_batch={"acc": batch.rewards_B.numpy(), "tool": tool_efficiency(batch.cost_B).numpy()},
            batch={"prompts": torch.zeros(len(rows), 1), "attention_mask": torch.ones(len(rows), 2, dtype=torch.int64)},
        )
        ours = advantages("tool_gdpo", rows, w_acc=weights[0], w_tool=weights[1])
        torch.testing.assert_close(ours, verls[:, 0], atol=1e-3, rtol=1e-3)


def test_hdpo_in_the_table_is_the_two_channels():
    for rows in random_batches(60, seed=5):
        batch = scalars(rows)
        accuracy, efficiency = ESTIMATORS["hdpo"](batch)
        assert torch.equal(accuracy, accuracy_advantages(batch.rewards_B, batch.group_B, batch.known_B))
        r_tool = tool_efficiency(batch.cost_B)
        assert torch.equal(efficiency, efficiency_advantages(r_tool, batch.group_B, batch.correct_B))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards_B": torch.zeros(3)}, "one number per rollout expected"),
        ({"known_B": torch.ones(4)}, "outcomes must be boolean"),
        ({"known_B": torch.zeros(4, dtype=torch.bool)}, "marked as correct"),
    ],
)
def test_scalars_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(scalars(HALF_RIGHT), **change)


def test_without_an_accuracy_signal_whitening_cancels_the_tool_weight():
    """What docs/algorithms.md says of GDPO and of NaN rewards in TRL; HDPO's channel keeps its weight."""
    rows = group([1, 1, 1, 1], [0, 1, 2, 4])
    strong, weak = (advantages("tool_gdpo", rows, w_tool=weight) for weight in (1.0, 0.01))
    torch.testing.assert_close(strong, weak, atol=1e-3, rtol=0)
    assert strong.std().item() == pytest.approx(1, abs=1e-3)


def test_whitening_makes_a_prompts_advantage_depend_on_the_others():
    """One group in 25 with a signal: its standard deviation over the batch is a fifth, so it grows about fivefold."""
    one = group([1, 1, 0, 0], [0, 0, 0, 0])
    quiet = [row for number in range(1, 25) for row in group([1] * 4, [0] * 4, number)]
    alone, among = advantages("tool_gdpo", one), advantages("tool_gdpo", one + quiet)
    assert among[0] / alone[0] == pytest.approx(5, rel=0.15)
