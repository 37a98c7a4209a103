"""Why the channels are kept apart: one mixed reward R = r_acc + a r_tool buries the contrast between correct rollouts.

With sigma_R^2 = sigma_acc^2 + a^2 sigma_tool^2 + 2a Cov(r_acc, r_tool), GRPO on R separates two correct rollouts by
a (r_tool_i - r_tool_j) / sigma_R: the more the answers differ, the less a saved call is worth, and where r_tool is not
tied to correctness a larger a ranks a lazy wrong answer above a correct one. In a group that is all correct sigma_acc
is 0 and a cancels: mixing fails only in groups of mixed correctness.
"""

import pytest
import torch

from verl_hdpo.algorithm.advantages import accuracy_advantages, efficiency_advantages, tool_efficiency

CORRECT = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0], dtype=torch.bool)
TOOL_CALLS = torch.tensor([0, 1, 2, 4] * 2)
ONE_GROUP = torch.zeros(8, dtype=torch.int64)
ALL_KNOWN = torch.ones(8, dtype=torch.bool)
MOST, LEAST = 0, 3  # correct with no call, correct with four


def mixed(a, conditioned):
    r_tool = tool_efficiency(TOOL_CALLS) * (CORRECT if conditioned else 1)
    return accuracy_advantages(CORRECT.double() + a * r_tool, ONE_GROUP, ALL_KNOWN)


@pytest.mark.parametrize(
    ("a", "conditioned", "contrast"),
    [(0.01, False, 0.0150), (0.05, False, 0.0748), (0.15, False, 0.2236), (1, False, 1.2799), (0.15, True, 0.2082)],
)
def test_contrast_between_correct_rollouts_under_one_reward(a, conditioned, contrast):
    advantages = mixed(a, conditioned)
    assert (advantages[MOST] - advantages[LEAST]).item() == pytest.approx(contrast, abs=1e-4)


def test_contrast_under_hdpo():
    advantages = efficiency_advantages(tool_efficiency(TOOL_CALLS), ONE_GROUP, CORRECT)
    assert 0.15 * (advantages[MOST] - advantages[LEAST]).item() == pytest.approx(0.3429, abs=1e-4)


def test_a_strong_unconditioned_mix_prefers_a_wrong_answer():
    advantages = mixed(2, conditioned=False)
    assert advantages[LEAST].item() == pytest.approx(-0.139, abs=1e-3)
    assert advantages[4].item() == pytest.approx(0.575, abs=1e-3)  # wrong, no call


def test_in_an_all_correct_group_the_coefficient_cancels():
    def contrast(a):
        rewards = 1 + a * tool_efficiency(TOOL_CALLS)
        advantages = accuracy_advantages(rewards, ONE_GROUP, ALL_KNOWN)
        return (advantages[MOST] - advantages[LEAST]).item()

    assert contrast(0.15) == pytest.approx(contrast(1.0), abs=1e-4)
