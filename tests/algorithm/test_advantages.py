"""The two advantages: hand-worked cases, an independent plain loop, verl's GRPO, and properties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from verl_hdpo.algorithm.advantages import EPS, accuracy_advantages, efficiency_advantages, tool_efficiency


def efficiency(tool_calls, correct, groups, **kwargs):
    return efficiency_advantages(
        tool_efficiency(torch.tensor(tool_calls)),
        torch.tensor(groups),
        torch.tensor(correct, dtype=torch.bool),
        **kwargs,
    )


def plain_mean_and_std(values):
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else 0.0


def plain_accuracy(rewards, groups, known, norm_by_std):
    """The definition, one rollout at a time, in plain Python."""
    out = []
    for reward, group, is_known in zip(rewards, groups, known, strict=True):
        peers = [r for r, g, k in zip(rewards, groups, known, strict=True) if g == group and k]
        if not is_known or len(peers) == 1:
            out.append(0.0)
        else:
            mean, std = plain_mean_and_std(peers)
            out.append((reward - mean) / (std + EPS if norm_by_std else 1.0))
    return out


def plain_efficiency(tool_calls, groups, qualifying, norm_by_std):
    out = []
    for calls, group, member in zip(tool_calls, groups, qualifying, strict=True):
        peers = [1 / (t + 1) for t, g, q in zip(tool_calls, groups, qualifying, strict=True) if g == group and q]
        mean, std = plain_mean_and_std(peers) if member else (0.0, 0.0)
        if std < EPS:
            out.append(0.0)
        else:
            out.append((1 / (calls + 1) - mean) / (std + EPS if norm_by_std else 1.0))
    return out


def random_batches(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        size = int(torch.randint(1, 40, (), generator=generator))
        groups = torch.randint(0, int(torch.randint(1, 9, (), generator=generator)), (size,), generator=generator)
        tool_calls = torch.randint(0, 5, (size,), generator=generator)
        correct = torch.rand(size, generator=generator) < 0.6
        known = torch.rand(size, generator=generator) < 0.9
        fmt = torch.rand(size, generator=generator) < 0.8
        rewards = 0.9 * (correct & known).float() + 0.1 * fmt.float()
        yield groups, tool_calls, correct & known, known, rewards


def test_paper_case_of_four_correct_and_two_wrong():
    """r_tool = (1, 1/2, 1/3, 1/2) over Q: mean 7/12, unbiased variance 1/12, so (5/12)/sqrt(1/12) = 1.4434, ..."""
    got = efficiency([0, 1, 2, 1, 0, 5], [1, 1, 1, 1, 0, 0], [0] * 6)
    torch.testing.assert_close(got, torch.tensor([1.4434, -0.2887, -0.8660, -0.2887, 0, 0]), atol=5e-5, rtol=0)


@pytest.mark.parametrize("more_calls", [1, 2, 50])
def test_two_correct_rollouts_are_told_apart_whatever_the_gap(more_calls):
    """|Q| = 2: each deviates by half the gap d, and the unbiased std is d / sqrt(2), so +-1/sqrt(2)."""
    got = efficiency([0, more_calls], [1, 1], [0, 0])
    torch.testing.assert_close(got, torch.tensor([0.5**0.5, -(0.5**0.5)]), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_against_the_plain_loop_on_hundreds_of_batches():
    for groups, tool_calls, correct, known, rewards in random_batches(500):
        for norm in (True, False):
            torch.testing.assert_close(
                efficiency_advantages(tool_efficiency(tool_calls.double()), groups, correct, norm),
                torch.tensor(plain_efficiency(tool_calls.tolist(), groups.tolist(), correct.tolist(), norm)),
                atol=1e-5,
                rtol=1e-5,
            )
            # float64, since the plain loop is: in float32 a group of equal rewards keeps some rounding, as in verl.
            torch.testing.assert_close(
                accuracy_advantages(rewards.double(), groups, known, norm),
                torch.tensor(
                    plain_accuracy(rewards.tolist(), groups.tolist(), known.tolist(), norm), dtype=torch.float64
                ),
                atol=1e-7,
                rtol=1e-7,
            )


@pytest.mark.parametrize("norm_by_std", [True, False])
def test_accuracy_channel_is_verls_grpo_bit_for_bit(norm_by_std):
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    for groups, _, _, known, rewards in random_batches(400, seed=1):
        for scores in (rewards, torch.rand(len(rewards))):
            verls, _ = compute_grpo_outcome_advantage(
                token_level_rewards=scores[:, None].clone(),
                response_mask=torch.ones(len(scores), 1),
                index=groups.numpy(),
                norm_adv_by_std_in_grpo=norm_by_std,
            )
            ours = accuracy_advantages(scores, groups, torch.ones_like(known), norm_by_std)
            # The lone survivor of a group keeps its reward in verl, an advantage for being alone.
            alone = torch.bincount(groups)[groups] == 1
            assert torch.equal(ours, torch.where(alone, 0.0, verls[:, 0]))


def test_unknown_rollouts_change_nothing_for_the_others():
    """A batch with its unknown rollouts is, for the rest, the batch without them: in loss and in statistics."""
    for groups, tool_calls, correct, known, rewards in random_batches(300, seed=2):
        anything = torch.where(known, rewards, torch.randn(len(rewards)) * 100)
        with_unknown = accuracy_advantages(anything, groups, known)
        assert torch.equal(with_unknown[~known], torch.zeros(int((~known).sum())))
        shared = torch.bincount(groups[known], minlength=9)[groups] > 1
        without = accuracy_advantages(rewards[known], groups[known], known[known])
        assert torch.equal(with_unknown[known & shared], without[shared[known]])
        assert torch.equal(
            efficiency_advantages(tool_efficiency(tool_calls.double()), groups, correct)[known],
            efficiency_advantages(tool_efficiency(tool_calls[known].double()), groups[known], correct[known]),
        )


def test_a_rollout_left_alone_has_no_advantage():
    """By unknown peers, or by peers that were lost on the way."""
    got = accuracy_advantages(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0, 0, 1]), torch.tensor([True, False, True]))
    assert got.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("tool_calls", [[t] * n for t in range(12) for n in range(2, 18)])
def test_equal_tool_use_is_exactly_no_signal(tool_calls):
    """1/(T+1) is not representable for most T; the mean of equal values then differs from them by rounding."""
    assert not efficiency(tool_calls, [1] * len(tool_calls), [0] * len(tool_calls)).any()


@pytest.mark.parametrize("correct", [[0, 0, 0], [1, 0, 0]])
def test_fewer_than_two_correct_is_exactly_no_signal(correct):
    assert not efficiency([0, 1, 2], correct, [0, 0, 0]).any()


rollouts = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.booleans()), min_size=1, max_size=30
)  # (group, tool calls, correct)


@given(rollouts, st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
@pytest.mark.slow
def test_order_does_not_matter(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    columns = [list(c) for c in zip(*rows, strict=True)]
    moved = [list(c) for c in zip(*(rows[i] for i in order), strict=True)]
    groups, calls, correct = columns
    torch.testing.assert_close(
        efficiency(calls, correct, groups)[order], efficiency(moved[1], moved[2], moved[0]), atol=1e-6, rtol=0
    )
    rewards = torch.tensor(correct, dtype=torch.float64)
    everyone = torch.ones(len(rows), dtype=torch.bool)
    torch.testing.assert_close(
        accuracy_advantages(rewards, torch.tensor(groups), everyone)[order],
        accuracy_advantages(rewards[order], torch.tensor(moved[0]), everyone),
        atol=1e-9,
        rtol=0,
    )


@given(rollouts)
@settings(max_examples=300, deadline=None)
def test_sums_to_zero_over_q_prefers_fewer_calls_and_ignores_wrong_rollouts(rows):
    groups, calls, correct = (list(c) for c in zip(*rows, strict=True))
    got = efficiency(calls, correct, groups)
    for group in set(groups):
        members = [i for i in range(len(rows)) if groups[i] == group and correct[i]]
        assert abs(sum(got[i].item() for i in members)) < 1e-4
        for i in members:
            for j in members:
                assert not (calls[i] < calls[j] and got[i] < got[j])
    assert all(got[i] == 0 for i in range(len(rows)) if not correct[i])
    wrong_call_more = [c if ok else c + 7 for c, ok in zip(calls, correct, strict=True)]
    assert torch.equal(got, efficiency(wrong_call_more, correct, groups))


@given(rollouts, st.floats(-5, 5))
@settings(max_examples=200, deadline=None)
def test_shifting_a_groups_rewards_changes_nothing(rows, shift):
    groups, _, correct = (list(c) for c in zip(*rows, strict=True))
    rewards, groups = torch.tensor(correct, dtype=torch.float64), torch.tensor(groups)
    everyone = torch.ones(len(rows), dtype=torch.bool)
    shared = torch.bincount(groups)[groups] > 1
    torch.testing.assert_close(
        accuracy_advantages(rewards + shift, groups, everyone)[shared],
        accuracy_advantages(rewards, groups, everyone)[shared],
        atol=1e-6,
        rtol=1e-6,
    )


def test_membership_must_be_explicit():
    with pytest.raises(ValueError, match="never inferred from a reward"):
        efficiency_advantages(torch.ones(2), torch.zeros(2, dtype=torch.int64), torch.ones(2))
    with pytest.raises(ValueError, match="shapes"):
        accuracy_advantages(torch.ones(2), torch.zeros(3, dtype=torch.int64), torch.ones(2, dtype=torch.bool))


def test_no_rollouts_is_no_advantages():
    nothing, none = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool)
    assert efficiency_advantages(torch.zeros(0), nothing, none).shape == (0,)
    assert accuracy_advantages(torch.zeros(0), nothing, none).shape == (0,)
    assert math.isclose(tool_efficiency(torch.tensor([3])).item(), 0.25)
